// Gated recurrent units over whole sequences, forward and back. The state is reset after its
// product with the kernel, or before.
#include "recurrent.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

template <bool usual>
struct Gru {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Sequence& s = sequence_of(call);
    const int64_t m = s.units, joint = s.reset_after ? 3 * m : 2 * m;
    const Steps<T> states = steps_out<T>(call, tile, 0), gates = steps_out<T>(call, tile, 1);
    const T* const b = argument<T>(tile, s.shift + 2);
    const Mask mask = mask_of(call, tile, s.shift + 4);
    const auto f = functions_of<T, usual>(s);
    Pieces<T> room = pieces_of<T>(tile);
    const Inputs<T> inputs = inputs_of(call, tile, room);
    T* const sums = room.take(kSamples * 3 * m);
    T* const h = room.take(kSamples * m);
    T* const reset = room.take(kSamples * m);
    const Keep<T> keep{s.kept ? argument<T>(tile, s.shift + 5) : nullptr, m,
                       room.take(kSamples * m)};
    const T* const kernel = argument<T>(tile, s.shift + 1);
    const Panels<T> u =
        pack_panels(kernel, 3 * m, false, m, joint, room.take(panels_size<T>(m, joint)));
    const Panels<T> last = pack_panels(kernel + joint, 3 * m, false, m, 3 * m - joint, room.next);

    each_block(tile, [&](int64_t first, int64_t rows) {
      begin_block(argument<T>(tile, s.shift + 3), first, rows, s, h, states);
      for (int64_t i = 0; i < s.count; ++i) {
        const int64_t step = s.step(i), to = s.after(step);
        const T* const used = keep.apply(h, first, rows);
        if (mask.any(first, rows, step)) {
          inputs.enter(first, rows, step);
          multiply_panels(u, used, m, rows, sums, 3 * m, b);
          if (!s.reset_after) {
            for (int64_t r = 0; r < rows; ++r) {
              reset_row(f, m, inputs.row(first, r, step), sums + r * 3 * m, used + r * m,
                        reset + r * m);
            }
            multiply_panels(last, reset, m, rows, sums + 2 * m, 3 * m, b + 2 * m);
          }
        }
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t n = first + r;
          T* const now = h + r * m;
          if (mask.live(n, step)) {
            mix_row(f, s, inputs.row(first, r, step), sums + r * 3 * m, reset + r * m,
                    gates.row(n, step), now);
          } else {
            clear_row(gates.row(n, step), 4 * m);
          }
          copy_row(now, m, states.row(n, to));
        }
      }
    });
  }

  // r h
  template <typename T>
  static void reset_row(const Functions<T, usual>& f, int64_t m, const T* a, const T* z,
                        const T* used, T* reset) noexcept {
    each_vector<T>(m, [=](auto at, int64_t v) {
      const Vec<T> r = f.gate(at.load(a + m + v) + at.load(z + m + v));
      at.store(reset + v, r * at.load(used + v));
    });
  }

  // The gates and, in h, the new state.
  template <typename T>
  static void mix_row(const Functions<T, usual>& f, const Sequence& s, const T* a, const T* z,
                      const T* reset, T* gates, T* h) noexcept {
    const int64_t m = s.units;
    const bool after = s.reset_after;
    each_vector<T>(m, [=](auto at, int64_t v) {
      const Vec<T> stay = f.gate(at.load(a + v) + at.load(z + v));
      const Vec<T> r = f.gate(at.load(a + m + v) + at.load(z + m + v));
      const Vec<T> product = at.load(z + 2 * m + v);
      const Vec<T> y = f.bend(at.load(a + 2 * m + v) + (after ? r * product : product));
      at.store(gates + v, stay);
      at.store(gates + m + v, r);
      at.store(gates + 2 * m + v, y);
      at.store(gates + 3 * m + v, after ? product : at.load(reset + v));
      at.store(h + v, stay * at.load(h + v) + (static_cast<T>(1) - stay) * y);
    });
  }
};

template <bool usual>
struct GruGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Sequence& s = sequence_of(call);
    const int64_t m = s.units, joint = s.reset_after ? 3 * m : 2 * m;
    const Steps<const T> g = steps_in<T>(call, tile, 0), states = steps_in<T>(call, tile, 1);
    const Steps<const T> gates = steps_in<T>(call, tile, 2);
    const Steps<T> ga = steps_out<T>(call, tile, 0), inner = steps_out<T>(call, tile, 1);
    const T* const kernel = argument<T>(tile, 3);
    const Mask mask = mask_of(call, tile, 4);
    const T* const keep = s.kept ? argument<T>(tile, 5) : nullptr;
    const auto f = functions_of<T, usual>(s);
    Pieces<T> room = pieces_of<T>(tile);
    const Outputs<T> outputs = outputs_of(call, tile, room);
    T* const whole = room.take(outputs.wanted() ? kSamples * 3 * m : 0);
    T* const z = room.take(kSamples * 3 * m);
    T* const back = room.take(kSamples * m);
    T* const to_reset = room.take(kSamples * m);
    const Panels<T> u =
        pack_panels(kernel, 3 * m, true, joint, m, room.take(panels_size<T>(joint, m)));
    const Panels<T> last = pack_panels(kernel + joint, 3 * m, true, 3 * m - joint, m, room.next);

    each_block(tile, [&](int64_t first, int64_t rows) {
      T* const dh = output<T>(call, tile, 2) + first * m;
      for (int64_t r = 0; r < rows; ++r) copy_row(g.row(first + r, s.last()), m, dh + r * m);
      for (int64_t i = s.count - 1; i >= 0; --i) {
        const int64_t step = s.step(i), old = s.before(step);
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t n = first + r;
          T* const to = ga.row(n, step);
          if (mask.live(n, step)) {
            part_row(f, s, gates.row(n, step), states.row(n, old), dh + r * m, z + r * 3 * m, to);
          } else {
            clear_row(z + r * 3 * m, 3 * m);
            clear_row(to, 3 * m);
          }
        }
        const bool any = mask.any(first, rows, step);
        if (any && !s.reset_after) {
          multiply_panels(last, z + 2 * m, 3 * m, rows, to_reset, m);
          for (int64_t r = 0; r < rows; ++r) {
            const int64_t n = first + r;
            if (!mask.live(n, step)) continue;
            reset_row(f, m, gates.row(n, step), states.row(n, old),
                      keep != nullptr ? keep + n * m : nullptr, to_reset + r * m, z + r * 3 * m);
          }
        }
        if (any) multiply_panels(u, z, 3 * m, rows, back, m);
        for (int64_t r = 0; r < rows; ++r) {
          T* const to = ga.row(first + r, step);
          copy_row(z + r * 3 * m, 2 * m, to);
          copy_row(z + r * 3 * m, 3 * m, inner.row(first + r, step));
          if (outputs.wanted()) copy_row(to, 3 * m, whole + r * 3 * m);
        }
        outputs.leave(first, rows, step, whole, any);
        const bool after = s.reset_after;
        carry_back<T>(mask, first, rows, step, m, g, old, dh,
                      [=](auto at, int64_t r, int64_t v, Vec<T> d) {
                        const T* gate = gates.row(first + r, step);
                        Vec<T> sum = at.load(back + r * m + v);
                        if (!after) sum += at.load(to_reset + r * m + v) * at.load(gate + m + v);
                        if (keep != nullptr) sum *= at.load(keep + (first + r) * m + v);
                        return d * at.load(gate + v) + sum;
                      });
      }
    });
  }

  // The cotangents of the three parts of ``h U + b``, in z, and the third one of a. Where the state
  // is reset before its product the second part waits for `reset_row`.
  template <typename T>
  static void part_row(const Functions<T, usual>& f, const Sequence& s, const T* gates, const T* h,
                       const T* dh, T* z, T* ga) noexcept {
    const int64_t m = s.units;
    const bool after = s.reset_after;
    each_vector<T>(m, [=](auto at, int64_t v) {
      const Vec<T> stay = at.load(gates + v), r = at.load(gates + m + v);
      const Vec<T> y = at.load(gates + 2 * m + v), product = at.load(gates + 3 * m + v);
      const Vec<T> d = at.load(dh + v);
      const Vec<T> dy = f.bend_slope(d * (static_cast<T>(1) - stay), y);
      at.store(z + v, f.gate_slope(d * (at.load(h + v) - y), stay));
      at.store(z + m + v, f.gate_slope(dy * product, r));
      at.store(z + 2 * m + v, after ? dy * r : dy);
      at.store(ga + 2 * m + v, dy);
    });
  }

  // The second part, from the cotangents of r h.
  template <typename T>
  static void reset_row(const Functions<T, usual>& f, int64_t m, const T* gates, const T* h,
                        const T* keep, const T* to_reset, T* z) noexcept {
    each_vector<T>(m, [=](auto at, int64_t v) {
      Vec<T> used = at.load(h + v);
      if (keep != nullptr) used *= at.load(keep + v);
      at.store(z + m + v, f.gate_slope(at.load(to_reset + v) * used, at.load(gates + m + v)));
    });
  }
};

Kernel prepare(Call& call, int shift) {
  const int64_t m = call.operand[shift + 1].shape[0];
  if (!read_sequence(call, call.operand[0].shape[1], m, shift + 4, shift)) return nullptr;
  call.scratch_bytes = inputs_bytes(call) + panels_bytes(call, m, 2 * m) +
                       panels_bytes(call, m, m) + block_bytes(call, 3 * m) +
                       3 * block_bytes(call, m);
  return cell_kernel<Gru>(call);
}

Kernel prepare_gradient(Call& call, int shift) {
  const int64_t m = call.operand[3].shape[0];
  if (!read_sequence(call, call.operand[2].shape[1], m, 4, shift)) return nullptr;
  call.scratch_bytes = outputs_bytes(call) + panels_bytes(call, 3 * m, m) +
                       2 * block_bytes(call, 3 * m) + 2 * block_bytes(call, m);
  return cell_kernel<GruGradient>(call);
}

}  // namespace

Kernel prepare_gru(Call& call) { return prepare(call, 0); }
Kernel prepare_gru_layer(Call& call) { return prepare(call, 2); }

Kernel prepare_gru_gradient(Call& call) { return prepare_gradient(call, 0); }
Kernel prepare_gru_layer_gradient(Call& call) { return prepare_gradient(call, 1); }

}  // namespace chainrule::CHAINRULE_ISA
