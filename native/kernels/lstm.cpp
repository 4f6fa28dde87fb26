// Long short-term memory over whole sequences, forward and back.
#include "recurrent.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// One sample at one step, forward: a + z in, gates, cell and state out.
template <typename T, bool usual>
inline void lstm_cell(const Functions<T, usual>& f, int64_t m, const T* a, const T* z, T* gates,
                      T* c, T* h, T* cell, T* state) noexcept {
  each_vector<T>(m, [=](auto at, int64_t v) {
    const Vec<T> add = f.gate(at.load(a + v) + at.load(z + v));
    const Vec<T> stay = f.gate(at.load(a + m + v) + at.load(z + m + v));
    const Vec<T> candidate = f.bend(at.load(a + 2 * m + v) + at.load(z + 2 * m + v));
    const Vec<T> out = f.gate(at.load(a + 3 * m + v) + at.load(z + 3 * m + v));
    const Vec<T> now = stay * at.load(c + v) + add * candidate;
    const Vec<T> y = out * f.bend(now);
    at.store(gates + v, add);
    at.store(gates + m + v, stay);
    at.store(gates + 2 * m + v, candidate);
    at.store(gates + 3 * m + v, out);
    at.store(c + v, now);
    at.store(cell + v, now);
    at.store(h + v, y);
    at.store(state + v, y);
  });
}

template <bool usual>
struct Lstm {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Sequence& s = sequence_of(call);
    const int64_t m = s.units;
    const auto f = functions_of<T, usual>(s);
    const Steps<T> states = steps_out<T>(call, tile, 0), cells = steps_out<T>(call, tile, 1);
    const Steps<T> gates = steps_out<T>(call, tile, 2);
    const Mask mask = mask_of(call, tile, s.shift + 4);
    Pieces<T> room = pieces_of<T>(tile);
    const Inputs<T> inputs = inputs_of(call, tile, room);
    T* const sums = room.take(kSamples * 4 * m);
    T* const h = room.take(kSamples * m);
    T* const c = room.take(kSamples * m);
    const Keep<T> keep{s.kept ? argument<T>(tile, s.shift + 5) : nullptr, m,
                       room.take(kSamples * m)};
    const Panels<T> u = pack_panels(argument<T>(tile, s.shift + 1), 4 * m, false, m, 4 * m,
                                    room.take(panels_size<T>(m, 4 * m)));

    each_block(tile, [&](int64_t first, int64_t rows) {
      begin_block(argument<T>(tile, s.shift + 2), first, rows, s, h, states);
      begin_block(argument<T>(tile, s.shift + 3), first, rows, s, c, cells);
      for (int64_t i = 0; i < s.count; ++i) {
        const int64_t step = s.step(i), to = s.after(step);
        if (mask.any(first, rows, step)) {
          inputs.enter(first, rows, step);
          multiply_panels(u, keep.apply(h, first, rows), m, rows, sums, 4 * m);
        }
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t n = first + r;
          if (i + 1 < s.count) expect_row<1>(gates.row(n, s.step(i + 1)), 4 * m);
          if (mask.live(n, step)) {
            lstm_cell(f, m, inputs.row(first, r, step), sums + r * 4 * m, gates.row(n, step),
                      c + r * m, h + r * m, cells.row(n, to), states.row(n, to));
          } else {
            clear_row(gates.row(n, step), 4 * m);
            copy_row(c + r * m, m, cells.row(n, to));
            copy_row(h + r * m, m, states.row(n, to));
          }
        }
      }
    });
  }
};

// One sample at one step, back: the cotangent of z, and in dc that of the cell before.
template <typename T, bool usual>
inline void lstm_cell_back(const Functions<T, usual>& f, int64_t m, const T* gates, const T* cell,
                           const T* old, const T* dh, T* dc, T* z, T* out_z) noexcept {
  each_vector<T>(m, [=](auto at, int64_t v) {
    const Vec<T> add = at.load(gates + v), stay = at.load(gates + m + v);
    const Vec<T> candidate = at.load(gates + 2 * m + v), out = at.load(gates + 3 * m + v);
    const Vec<T> y = f.bend(at.load(cell + v)), g = at.load(dh + v);
    const Vec<T> d = at.load(dc + v) + f.bend_slope(g * out, y);
    const Vec<T> part[4] = {f.gate_slope(d * candidate, add),
                            f.gate_slope(d * at.load(old + v), stay),
                            f.bend_slope(d * add, candidate), f.gate_slope(g * y, out)};
    for (int64_t p = 0; p < 4; ++p) {
      at.store(z + p * m + v, part[p]);
      at.store(out_z + p * m + v, part[p]);
    }
    at.store(dc + v, d * stay);
  });
}

template <bool usual>
struct LstmGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Sequence& s = sequence_of(call);
    const int64_t m = s.units;
    const auto f = functions_of<T, usual>(s);
    const Steps<const T> gh = steps_in<T>(call, tile, 0), gc = steps_in<T>(call, tile, 1);
    const Steps<const T> cells = steps_in<T>(call, tile, 2), gates = steps_in<T>(call, tile, 3);
    const Steps<T> ga = steps_out<T>(call, tile, 0);
    const Mask mask = mask_of(call, tile, 5);
    const T* const keep = s.kept ? argument<T>(tile, 6) : nullptr;
    Pieces<T> room = pieces_of<T>(tile);
    const Outputs<T> outputs = outputs_of(call, tile, room);
    T* const z = room.take(kSamples * 4 * m);
    T* const back = room.take(kSamples * m);
    const Panels<T> u = pack_panels(argument<T>(tile, 4), 4 * m, true, 4 * m, m,
                                    room.take(panels_size<T>(4 * m, m)));

    each_block(tile, [&](int64_t first, int64_t rows) {
      T* const dh = output<T>(call, tile, 1) + first * m;
      T* const dc = output<T>(call, tile, 2) + first * m;
      for (int64_t r = 0; r < rows; ++r) {
        copy_row(gh.row(first + r, s.last()), m, dh + r * m);
        if (gc.steps > 0) {
          copy_row(gc.row(first + r, s.last()), m, dc + r * m);
        } else {
          clear_row(dc + r * m, m);
        }
      }
      for (int64_t i = s.count - 1; i >= 0; --i) {
        const int64_t step = s.step(i), old = s.before(step);
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t n = first + r;
          if (i > 0) {
            const int64_t next = s.step(i - 1);
            expect_row<0>(gates.row(n, next), 4 * m);
            expect_row<0>(cells.row(n, s.before(next)), m);
            expect_row<1>(ga.row(n, next), 4 * m);
          }
          if (mask.live(n, step)) {
            lstm_cell_back(f, m, gates.row(n, step), cells.row(n, s.after(step)), cells.row(n, old),
                           dh + r * m, dc + r * m, z + r * 4 * m, ga.row(n, step));
          } else {
            clear_row(z + r * 4 * m, 4 * m);
            clear_row(ga.row(n, step), 4 * m);
          }
          if (gc.steps > 0) {
            const T* own = gc.row(n, old);
            T* to = dc + r * m;
            each_vector<T>(m, [=](auto at, int64_t v) {
              at.store(to + v, at.load(to + v) + at.load(own + v));
            });
          }
        }
        const bool any = mask.any(first, rows, step);
        if (any) multiply_panels(u, z, 4 * m, rows, back, m);
        outputs.leave(first, rows, step, z, any);
        carry_back<T>(mask, first, rows, step, m, gh, old, dh,
                      through_products<T>(back, keep, first, m));
      }
    });
  }
};

Kernel prepare(Call& call, int shift) {
  const int64_t m = call.operand[shift + 1].shape[0];
  if (!read_sequence(call, call.operand[0].shape[1], m, shift + 4, shift)) return nullptr;
  call.scratch_bytes = inputs_bytes(call) + panels_bytes(call, m, 4 * m) +
                       block_bytes(call, 4 * m) + 3 * block_bytes(call, m);
  return cell_kernel<Lstm>(call);
}

Kernel prepare_gradient(Call& call, int shift) {
  const int64_t m = call.operand[4].shape[0];
  if (!read_sequence(call, call.operand[3].shape[1], m, 5, shift)) return nullptr;
  call.scratch_bytes = outputs_bytes(call) + panels_bytes(call, 4 * m, m) +
                       block_bytes(call, 4 * m) + block_bytes(call, m);
  return cell_kernel<LstmGradient>(call);
}

}  // namespace

Kernel prepare_lstm(Call& call) { return prepare(call, 0); }
Kernel prepare_lstm_layer(Call& call) { return prepare(call, 2); }

Kernel prepare_lstm_gradient(Call& call) { return prepare_gradient(call, 0); }
Kernel prepare_lstm_layer_gradient(Call& call) { return prepare_gradient(call, 1); }

}  // namespace chainrule::CHAINRULE_ISA
