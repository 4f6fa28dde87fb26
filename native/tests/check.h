// The test harness: CHECK and CHECK_NEAR count failures and print them; main ends with
// check_result().
#pragma once

#include <cmath>
#include <cstdio>

namespace chainrule::test {

inline int failures = 0;
inline int checks = 0;

inline bool check(bool held, const char* condition, const char* file, int line) {
  ++checks;
  if (held) return true;
  // The first ones tell the story; thousands more would hide it.
  if (++failures <= 20) std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, condition);
  return false;
}

// NaN is near NaN only, an infinity near itself only.
inline bool near(double a, double b, double tolerance) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::fabs(a - b) <= tolerance;
}

inline bool check_near(double a, double b, double tolerance, const char* text, const char* file,
                       int line) {
  const bool held = check(near(a, b, tolerance), text, file, line);
  if (!held && failures <= 20)
    std::fprintf(stderr, "  %.17g, %.17g, tolerance %g\n", a, b, tolerance);
  return held;
}

inline int check_result() {
  std::printf("%d checks, %d failures\n", checks, failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace chainrule::test

#define CHECK(condition) ::chainrule::test::check((condition), #condition, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, tolerance) \
  ::chainrule::test::check_near((a), (b), (tolerance), #a " near " #b, __FILE__, __LINE__)
using chainrule::test::check_result;
