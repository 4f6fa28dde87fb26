// Recurrent layers of one function over whole sequences, forward and back.
#include "recurrent.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

template <bool usual>
struct Rnn {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Sequence& s = sequence_of(call);
    const int64_t m = s.units;
    const auto f = functions_of<T, usual>(s);
    const Steps<T> states = steps_out<T>(call, tile, 0);
    const Mask mask = mask_of(call, tile, s.shift + 3);
    Pieces<T> room = pieces_of<T>(tile);
    const Inputs<T> inputs = inputs_of(call, tile, room);
    T* const sums = room.take(kSamples * m);
    T* const h = room.take(kSamples * m);
    const Keep<T> keep{s.kept ? argument<T>(tile, s.shift + 4) : nullptr, m,
                       room.take(kSamples * m)};
    const Panels<T> u = pack_panels(argument<T>(tile, s.shift + 1), m, false, m, m, room.next);

    each_block(tile, [&](int64_t first, int64_t rows) {
      begin_block(argument<T>(tile, s.shift + 2), first, rows, s, h, states);
      for (int64_t i = 0; i < s.count; ++i) {
        const int64_t step = s.step(i), to = s.after(step);
        if (mask.any(first, rows, step)) {
          inputs.enter(first, rows, step);
          multiply_panels(u, keep.apply(h, first, rows), m, rows, sums, m);
        }
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t n = first + r;
          T* const now = h + r * m;
          if (mask.live(n, step)) step_row(f, m, inputs.row(first, r, step), sums + r * m, now);
          copy_row(now, m, states.row(n, to));
        }
      }
    });
  }

  template <typename T>
  static void step_row(const Functions<T, usual>& f, int64_t m, const T* a, const T* z,
                       T* h) noexcept {
    each_vector<T>(
        m, [=](auto at, int64_t v) { at.store(h + v, f.bend(at.load(a + v) + at.load(z + v))); });
  }
};

template <bool usual>
struct RnnGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Sequence& s = sequence_of(call);
    const int64_t m = s.units;
    const auto f = functions_of<T, usual>(s);
    const Steps<const T> g = steps_in<T>(call, tile, 0), states = steps_in<T>(call, tile, 1);
    const Steps<T> ga = steps_out<T>(call, tile, 0);
    const Mask mask = mask_of(call, tile, 3);
    const T* const keep = s.kept ? argument<T>(tile, 4) : nullptr;
    Pieces<T> room = pieces_of<T>(tile);
    const Outputs<T> outputs = outputs_of(call, tile, room);
    T* const z = room.take(kSamples * m);
    T* const back = room.take(kSamples * m);
    const Panels<T> u = pack_panels(argument<T>(tile, 2), m, true, m, m, room.next);

    each_block(tile, [&](int64_t first, int64_t rows) {
      T* const dh = output<T>(call, tile, 1) + first * m;
      for (int64_t r = 0; r < rows; ++r) copy_row(g.row(first + r, s.last()), m, dh + r * m);
      for (int64_t i = s.count - 1; i >= 0; --i) {
        const int64_t step = s.step(i);
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t n = first + r;
          if (mask.live(n, step)) {
            slope_row(f, m, dh + r * m, states.row(n, s.after(step)), z + r * m);
          } else {
            clear_row(z + r * m, m);
          }
          copy_row(z + r * m, m, ga.row(n, step));
        }
        const bool any = mask.any(first, rows, step);
        if (any) multiply_panels(u, z, m, rows, back, m);
        outputs.leave(first, rows, step, z, any);
        carry_back<T>(mask, first, rows, step, m, g, s.before(step), dh,
                      through_products<T>(back, keep, first, m));
      }
    });
  }

  template <typename T>
  static void slope_row(const Functions<T, usual>& f, int64_t m, const T* dh, const T* y,
                        T* z) noexcept {
    each_vector<T>(m, [=](auto at, int64_t v) {
      at.store(z + v, f.bend_slope(at.load(dh + v), at.load(y + v)));
    });
  }
};

Kernel prepare(Call& call, int shift) {
  const int64_t m = call.operand[shift + 1].shape[0];
  if (!read_sequence(call, call.operand[0].shape[1], m, shift + 3, shift)) return nullptr;
  call.scratch_bytes = inputs_bytes(call) + panels_bytes(call, m, m) + 3 * block_bytes(call, m);
  return cell_kernel<Rnn>(call);
}

Kernel prepare_gradient(Call& call, int shift) {
  const int64_t m = call.operand[2].shape[0];
  if (!read_sequence(call, call.operand[1].shape[1] - 1, m, 3, shift)) return nullptr;
  call.scratch_bytes = outputs_bytes(call) + panels_bytes(call, m, m) + 2 * block_bytes(call, m);
  return cell_kernel<RnnGradient>(call);
}

}  // namespace

Kernel prepare_rnn(Call& call) { return prepare(call, 0); }
Kernel prepare_rnn_layer(Call& call) { return prepare(call, 2); }

Kernel prepare_rnn_gradient(Call& call) { return prepare_gradient(call, 0); }
Kernel prepare_rnn_layer_gradient(Call& call) { return prepare_gradient(call, 1); }

}  // namespace chainrule::CHAINRULE_ISA
