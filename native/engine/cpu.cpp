#include "cpu.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace chainrule {
namespace {

#if defined(__linux__)
int cores_of_affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails where there are more than 1024 processors.
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

constexpr double no_quota = std::numeric_limits<double>::infinity();

double quota_of(const std::string& folder) {
  std::ifstream second_version(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (second_version >> quota >> period && quota != "max" && period > 0)
    return std::stod(quota) / period;
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
  std::ifstream period_file(folder + "/cpu.cfs_period_us");
  double microseconds = 0;
  if (quota_file >> microseconds && period_file >> period && microseconds > 0 && period > 0) {
    return microseconds / period;
  }
  return no_quota;
}

// The smallest quota of the group at `root` + `path` and the groups above it.
double quota_up_from(const std::string& root, std::string path) {
  double quota = quota_of(root);
  while (path.size() > 1) {
    quota = std::min(quota, quota_of(root + path));
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
  return quota;
}

double cores_of_control_group() {
  double quota = no_quota;
  std::ifstream groups("/proc/self/cgroup");
  // A line is "number:controllers:path"; no controllers are named in version 2.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) quota = std::min(quota, quota_up_from("/sys/fs/cgroup", path));
    if (controllers.find("cpu") == 0)
      quota = std::min(quota, quota_up_from("/sys/fs/cgroup/cpu", path));
  }
  return quota;
}
#endif

int count_cores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  const int allowed = cores_of_affinity();
  if (allowed > 0) cores = allowed;
  const double quota = cores_of_control_group();
  if (quota < cores) cores = static_cast<int>(std::ceil(quota));
#endif
  return std::max(cores, 1);
}

}  // namespace

bool cpu_supports(const std::string& instruction_set) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // These tests cover the registers that the system saves, not only what the processor has.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (instruction_set == "avx2") return avx2;
  if (instruction_set == "avx512") {
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
#elif defined(__aarch64__)
  if (instruction_set == "neon") return true;
#endif
  return instruction_set == "baseline";
}

int core_count() {
  try {
    return count_cores();
  } catch (const std::exception&) {
    return 1;  // an unreadable quota
  }
}

}  // namespace chainrule
