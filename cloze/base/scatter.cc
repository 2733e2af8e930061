#include "cloze/base/scatter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cloze/base/html.h"

namespace cloze {
namespace {

constexpr double kWidth = 720, kHeight = 360, kLeft = 60, kRight = 110, kTop = 20, kBottom = 45, kNameWidth = 80,
                 kNameHeight = 13, kLeastCost = 1e-6;

/// Where values stand in the plot.
struct Places {
  double first, last, low, high;

  explicit Places(const std::vector<ScatterPoint>& points) : first(1e18), last(0), low(1), high(0) {
    for (const ScatterPoint& p : points) {
      first = std::min(first, cost_of(p));
      last = std::max(last, cost_of(p));
      low = std::min(low, p.low);
      high = std::max(high, p.high);
    }
    first = std::pow(10, std::floor(std::log10(first)));
    last = std::max(first * 10, std::pow(10, std::ceil(std::log10(last))));
    low = std::floor(low * 20) / 20;
    high = std::max(low + 0.05, std::ceil(high * 20) / 20);
  }
  static double cost_of(const ScatterPoint& p) { return std::max(p.cost, kLeastCost); }
  double x(double cost) const {
    const double share = (std::log10(cost) - std::log10(first)) / (std::log10(last) - std::log10(first));
    return kLeft + share * (kWidth - kLeft - kRight);
  }
  double y(double worth) const { return kTop + (high - worth) / (high - low) * (kHeight - kTop - kBottom); }
};

constexpr const char* kStyle =
    "body{font:15px/1.45 system-ui,sans-serif;max-width:760px;margin:2em auto;padding:0 "
    "1em;color:#1c2430;background:#fff}"
    "h1{font-size:1.3em}table{border-collapse:collapse;width:100%}th,td{padding:.35em .6em;text-align:right;"
    "border-bottom:1px solid #dde2e8}th:first-child{text-align:left}th "
    "small{display:block;font-weight:400;color:#5b6675}"
    "td{white-space:nowrap}tr.pick{background:#eaf5ee}.note{text-align:left;color:#8a4b00}svg{width:100%;height:auto}"
    "svg text{font:12px "
    "system-ui,sans-serif;fill:#45505f}.grid{stroke:#e4e8ed}.way line{stroke:#3b6ea8;stroke-width:1.5}.way "
    "circle{fill:#3b6ea8}.pick line{stroke:#1c8a4a}.pick circle{fill:#1c8a4a}@media(prefers-color-scheme:dark){"
    "body{color:#e3e7ec;background:#15191f}th,td{border-color:#333b46}tr.pick{background:#173324}th small,svg "
    "text{color:#9aa5b3;fill:#9aa5b3}.grid{stroke:#2a313b}}";

}  // namespace

std::string scatter_plot(const std::vector<ScatterPoint>& points, const ScatterAxes& axes) {
  const Places at(points);
  std::string svg =
      fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">)", kWidth, kHeight, escape_html(axes.label));
  for (double mark = at.first; mark <= at.last * 1.01; mark *= 10)
    svg += fmt::format(
        R"(<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/><text x="{0:.1f}" y="{3}" text-anchor="middle">{4:g} {5}</text>)",
        at.x(mark), kTop, kHeight - kBottom, kHeight - kBottom + 18, mark, escape_html(axes.cost_unit));
  const int steps = static_cast<int>(std::lround((at.high - at.low) / 0.05));
  for (int i = 0; i <= steps; ++i) {
    const double mark = at.low + 0.05 * i;
    svg += fmt::format(
        R"(<line class="grid" x1="{1}" x2="{2}" y1="{0:.1f}" y2="{0:.1f}"/><text x="{3}" y="{4:.1f}" text-anchor="end">{5:.0f} %</text>)",
        at.y(mark), kLeft, kWidth - kRight, kLeft - 8, at.y(mark) + 4, 100 * mark);
  }
  std::vector<std::pair<double, double>> names;  // where names stand
  for (const ScatterPoint& p : points) {
    const double x = at.x(Places::cost_of(p)), y = at.y(p.worth);
    double name_y = y + 4;
    const auto covered = [&](const std::pair<double, double>& name) {
      return std::abs(name.first - x) < kNameWidth && std::abs(name.second - name_y) < kNameHeight;
    };
    while (std::ranges::any_of(names, covered)) name_y += kNameHeight;
    names.emplace_back(x, name_y);
    svg += fmt::format(
        R"(<g class="{0}"><line x1="{1:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{3:.1f}"/><circle cx="{1:.1f}" cy="{4:.1f}" r="5"/><text x="{5:.1f}" y="{6:.1f}">{7}</text></g>)",
        p.picked ? "way pick" : "way", x, at.y(p.low), at.y(p.high), y, x + 9, name_y, escape_html(p.name));
  }
  svg += fmt::format(R"(<text x="{}" y="{}" text-anchor="middle">{} (logarithmic)</text></svg>)",
                     (kLeft + kWidth - kRight) / 2, kHeight - 8, escape_html(axes.cost_name));
  return svg;
}

const char* report_style() {
  return kStyle;
}

}  // namespace cloze
