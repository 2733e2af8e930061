// A profile as tables for people.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "cloze/base/profile.h"

namespace cloze {
namespace {

/// 0 where there is nothing to divide by.
double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

/// "-" in place of a figure that would be 0 for want of anything to count.
std::string figure(double value, const char* form) {
  return value > 0 ? fmt::format(fmt::runtime(form), value) : "-";
}

std::string rates(const ProfileWork& work) {
  return fmt::format("{:>11}{:>9}{:>10}", figure(work.bytes / 1e6, "{:.1f}"),
                     figure(ratio(work.bytes, work.seconds) / 1e9, "{:.2f}"),
                     figure(ratio(work.flops, work.seconds) / 1e9, "{:.1f}"));
}

std::string phase_table(const ProfileReport& report, size_t width) {
  std::string text = fmt::format("{:<{}}{:>10}{:>8}{:>10}{:>11}{:>11}{:>11}{:>9}{:>10}\n", "phase", width, "seconds",
                                 "share", "times", "in kernels", "outside", "MB", "GB/s", "GFLOP/s");
  for (const ProfileReport::Phase& phase : report.phases)
    text +=
        fmt::format("{:<{}}{:>10.4f}{:>7.1f}%{:>10}{:>11.4f}{:>11.4f}{}\n", phase.name, width, phase.seconds,
                    100 * ratio(phase.seconds, report.seconds), phase.times > 0 ? fmt::to_string(phase.times) : "-",
                    phase.kernels.seconds, std::max(0.0, phase.seconds - phase.kernels.seconds), rates(phase.kernels));
  return text;
}

std::string operation_table(const ProfileReport& report, size_t width) {
  struct Row {
    std::string name;
    ProfileWork work;
  };
  std::vector<Row> rows;
  for (const ProfileReport::Operation& operation : report.operations) rows.push_back({operation.name, operation.work});
  ProfileWork outside;
  outside.seconds = std::max(0.0, report.seconds - report.kernels().seconds);
  rows.push_back({"outside of kernels", outside});
  std::ranges::stable_sort(rows, std::greater{}, [](const Row& row) { return row.work.seconds; });
  std::string text = fmt::format("{:<{}}{:>10}{:>8}{:>10}{:>11}{:>11}{:>9}{:>10}\n", "operation", width, "seconds",
                                 "share", "calls", "us a call", "MB", "GB/s", "GFLOP/s");
  for (const Row& row : rows) {
    const double calls = static_cast<double>(row.work.calls);
    text += fmt::format("{:<{}}{:>10.4f}{:>7.1f}%{:>10}{:>11}{}\n", row.name, width, row.work.seconds,
                        100 * ratio(row.work.seconds, report.seconds), figure(calls, "{:.0f}"),
                        figure(ratio(row.work.seconds, calls) * 1e6, "{:.1f}"), rates(row.work));
  }
  return text;
}

}  // namespace

std::string profile_text(const ProfileReport& report, const ProfileCost& cost) {
  size_t width = std::string_view("outside of kernels").size();
  for (const ProfileReport::Operation& operation : report.operations) width = std::max(width, operation.name.size());
  for (const ProfileReport::Phase& phase : report.phases) width = std::max(width, phase.name.size());
  const ProfileWork kernels = report.kernels();
  const double took =
      cost.call * static_cast<double>(kernels.calls) + cost.phase * static_cast<double>(report.phases_entered());
  return fmt::format(
      "profile of {:.4f} s\n{}\n{}\n"
      "profiling itself: {:.3f} us a call x {} calls, {:.3f} us a phase x {} times: {:.4f} s ({:.2f}%)",
      report.seconds, phase_table(report, width), operation_table(report, width), cost.call * 1e6, kernels.calls,
      cost.phase * 1e6, report.phases_entered(), took, 100 * ratio(took, report.seconds));
}

}  // namespace cloze
