// The Python module chainrule._native: programs from dicts, arrays from buffers, runs without the
// GIL.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "engine/cpu.h"
#include "engine/memory.h"
#include "engine/program.h"
#include "engine/verify.h"

namespace nb = nanobind;

namespace chainrule {
namespace {

DType dtype_of(const std::string& name) {
  for (const DType dtype :
       {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8, DType::boolean}) {
    if (name == name_of(dtype)) return dtype;
  }
  throw ProgramError("no dtype is called '" + name + "'");
}

Kind kind_of(const std::string& name) {
  if (name == "arena") return Kind::arena;
  if (name == "local") return Kind::local;
  if (name == "slot") return Kind::slot;
  throw ProgramError("no operand kind is called '" + name + "'");
}

template <typename T>
T get(nb::handle dict, const char* key) {
  return nb::cast<T>(dict[key]);
}

// Integers, floats and booleans; whole numbers beyond 2^53 would not arrive exactly.
double number_of(nb::handle value) {
  const double number = PyFloat_AsDouble(value.ptr());
  if (number == -1.0 && PyErr_Occurred() != nullptr) throw nb::python_error();
  if (PyLong_Check(value.ptr()) && (number > 0x1p53 || number < -0x1p53)) {
    throw ProgramError("an attribute is beyond 2^53: " + std::string(nb::str(value).c_str()));
  }
  return number;
}

Attribute attribute_of(nb::handle name, nb::handle value) {
  Attribute attribute;
  attribute.name = nb::cast<std::string>(name);
  if (nb::isinstance<nb::str>(value)) {
    attribute.word = nb::cast<std::string>(value);
  } else if (PySequence_Check(value.ptr()) != 0) {
    for (nb::handle item : value) attribute.numbers.push_back(number_of(item));
  } else {
    attribute.numbers.push_back(number_of(value));
  }
  return attribute;
}

Operand operand_of(nb::handle described) {
  Operand operand;
  operand.dtype = dtype_of(nb::cast<std::string>(described[0]));
  const int tiling = nb::cast<int>(described[1]);  // 0: whole, 1: by rows, 2: by columns
  operand.tiled = tiling != 0;
  operand.columns = tiling == 2;
  const auto shape = nb::cast<std::vector<int64_t>>(described[2]);
  operand.rank = static_cast<int>(shape.size());
  if (operand.rank > max_rank) {
    throw ProgramError("an operand has " + std::to_string(shape.size()) + " axes, more than " +
                       std::to_string(max_rank));
  }
  std::copy(shape.begin(), shape.end(), operand.shape);
  return operand;
}

CallSpec call_of(nb::handle described) {
  CallSpec spec;
  spec.call.name = get<std::string>(described, "name");
  spec.call.arguments = get<int>(described, "arguments");
  const nb::object operands = described["operands"];
  const size_t count = nb::len(operands);
  if (count > static_cast<size_t>(max_operands)) {
    throw ProgramError(spec.call.name + " has " + std::to_string(count) + " operands, more than " +
                       std::to_string(max_operands));
  }
  spec.call.operand.reserve(count);
  for (nb::handle operand : operands) {
    spec.location[spec.call.operands()] = {kind_of(nb::cast<std::string>(operand[3])),
                                           nb::cast<int64_t>(operand[4])};
    spec.call.operand.add(operand_of(operand));
  }
  for (const auto& [name, value] : nb::cast<nb::dict>(described["attributes"])) {
    spec.call.attributes.push_back(attribute_of(name, value));
  }
  return spec;
}

LoopSpec loop_of(nb::handle described) {
  return {get<int64_t>(described, "rows"), get<int64_t>(described, "tile"),
          get<double>(described, "cost"), get<int64_t>(described, "first"),
          get<int64_t>(described, "last")};
}

ProgramSpec spec_of(const nb::dict& described) {
  ProgramSpec spec;
  for (nb::handle call : described["calls"]) {
    try {
      spec.calls.push_back(call_of(call));
    } catch (const ProgramError& error) {
      throw ProgramError("call " + std::to_string(spec.calls.size()) + ": " + error.what());
    }
  }
  for (nb::handle loop : described["loops"]) spec.loops.push_back(loop_of(loop));
  for (nb::handle phase : described["phases"]) {
    spec.phases.push_back({nb::cast<int64_t>(phase[0]), nb::cast<int64_t>(phase[1])});
  }
  for (nb::handle slot : described["slots"]) {
    spec.slots.push_back({nb::cast<int64_t>(slot[0]), nb::cast<bool>(slot[1])});
  }
  spec.arena_bytes = get<int64_t>(described, "arena_bytes");
  spec.local_bytes = get<int64_t>(described, "local_bytes");
  return spec;
}

// A view of an array's memory; while it exists the array does, and does not move.
class Buffer {
 public:
  Buffer(nb::handle array, bool writable) {
    const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(array.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(view_.buf); }
  [[nodiscard]] int64_t bytes() const noexcept { return view_.len; }

 private:
  Py_buffer view_{};
};

// Whether signal handlers run on this thread. requires: the GIL.
bool on_main_thread() {
  const nb::object main = nb::module_::import_("threading").attr("main_thread")();
  return nb::cast<unsigned long>(main.attr("ident")) == PyThread_get_thread_ident();
}

// Asked from time to time during a run, without the GIL. Only the main thread handles signals, so a
// run on another thread finds that out once and leaves the GIL alone from then on.
struct SignalCheck {
  bool other_thread = false;
  bool failed = false;  // a Python exception is set
};

bool check_signals(void* context) noexcept {
  auto& check = *static_cast<SignalCheck*>(context);
  if (check.other_thread) return true;
  const nb::gil_scoped_acquire gil;
  try {
    check.other_thread = !on_main_thread();
  } catch (nb::python_error& error) {
    error.restore();
    check.failed = true;
    return false;
  } catch (const std::exception&) {
    check.other_thread = true;  // an interpreter on its way out has no main thread
  }
  check.failed = !check.other_thread && PyErr_CheckSignals() != 0;
  return !check.failed;
}

class PythonProgram {
 public:
  explicit PythonProgram(const nb::dict& spec) : program_(spec_of(spec), kernels()) {
    buffers_.resize(static_cast<size_t>(program_.slots()));
  }

  void bind(int64_t slot, nb::handle array, int64_t stride) {
    if (slot < 0 || slot >= program_.slots()) {
      throw ProgramError("slot " + std::to_string(slot) + " of " +
                         std::to_string(program_.slots()));
    }
    auto buffer = std::make_unique<Buffer>(array, program_.slot(slot).writable);
    program_.bind(slot, {buffer->data(), buffer->bytes(), stride, true});
    buffers_[static_cast<size_t>(slot)] = std::move(buffer);
  }

  std::tuple<int64_t, int, int64_t> run(int64_t steps, int threads) {
    SignalCheck check;
    Outcome outcome;
    {
      const nb::gil_scoped_release released;
      outcome = program_.run(steps, threads, {check_signals, &check});
    }
    if (check.failed) throw nb::python_error();
    return {outcome.done, outcome.fault_code, outcome.fault_row};
  }

  [[nodiscard]] int threads_for(int threads) const noexcept {
    return program_.threads_for(threads);
  }
  [[nodiscard]] int64_t arena_bytes() const noexcept { return program_.arena_bytes(); }
  [[nodiscard]] int64_t scratch_bytes(int threads) const noexcept {
    return program_.scratch_bytes(threads);
  }

 private:
  Program program_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
};

void set_instruction_set(const std::string& name) {
  if (choose_instruction_set(name)) return;
  std::string names;
  for (const std::string& set : instruction_sets()) names += (names.empty() ? "" : ", ") + set;
  throw std::invalid_argument("no instruction set '" + name +
                              "' here: this build and processor have " + names);
}

std::vector<std::string> operations() {
  std::vector<std::string> names;
  const KernelTable& table = kernels();
  for (int64_t i = 0; i < table.count; ++i) names.emplace_back(table.entries[i].name);
  return names;
}

}  // namespace
}  // namespace chainrule

NB_MODULE(_native, module) {
  // Programs that modules of Python still hold when the process ends are no leak.
  nb::set_leak_warnings(false);
  using namespace chainrule;
  module.doc() =
      "The compiled engine of chainrule. Import it from chainrule.executors.native only.";
  module.def(
      "instruction_set", [] { return std::string(kernels().instruction_set); },
      "The instruction set of the kernels that programs loaded from now on use.");
  module.def("set_instruction_set", &set_instruction_set, nb::arg("name"),
             "Choose the kernels of programs loaded from now on.");
  module.def("instruction_sets", &instruction_sets,
             "The instruction sets available here, worst first.");
  module.def("operations", &operations, "The names of all operations, in the order of ops.def.");
  module.def("core_count", &core_count,
             "Cores this process may use, by affinity and control group.");

  module.def(
      "scratch_bytes",
      [](const nb::dict& spec, int threads) {
        return Program(spec_of(spec), kernels(), false).scratch_bytes(threads);
      },
      nb::arg("spec"), nb::arg("threads"),
      "What a run of the plan on up to `threads` threads keeps beside the arena, in bytes.");

  module.def("give_back_freed", &give_back_freed,
             "Give memory that was freed, and is kept for more to come, back to the system.");

  nb::class_<PythonProgram>(module, "Program", "A plan made ready to run.")
      .def(nb::init<const nb::dict&>(), nb::arg("spec"))
      .def(
          "bind", &PythonProgram::bind, nb::arg("slot"), nb::arg("array"), nb::arg("stride") = 0,
          "Use the array for a slot; its pointer advances by `stride` bytes at each step of a run.")
      .def("run", &PythonProgram::run, nb::arg("steps"), nb::arg("threads"),
           "Run steps on up to `threads` threads; returns (done, fault_code, fault_row).")
      .def("threads_for", &PythonProgram::threads_for, nb::arg("threads"),
           "The number of threads a run uses when it may use `threads`.")
      .def("scratch_bytes", &PythonProgram::scratch_bytes, nb::arg("threads"),
           "What a run on up to `threads` threads keeps beside the arena, in bytes.")
      .def_prop_ro("arena_bytes", &PythonProgram::arena_bytes);
}
