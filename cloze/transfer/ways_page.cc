#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cloze/base/html.h"
#include "cloze/transfer/transfer_ways.h"

namespace cloze {
namespace {

constexpr double kWidth = 720, kHeight = 360, kLeft = 60, kRight = 110, kTop = 20, kBottom = 45, kNameWidth = 80,
                 kNameHeight = 13;

/// Where values stand in the plot: seconds on a logarithmic axis, accuracy on a linear one.
struct Axes {
  double first, last, low, high;

  explicit Axes(const std::vector<const WayResult*>& shown) : first(1e9), last(0), low(1), high(0) {
    for (const WayResult* r : shown) {
      first = std::min(first, std::max(r->train_seconds, 0.01));
      last = std::max(last, std::max(r->train_seconds, 0.01));
      low = std::min(low, r->interval.low);
      high = std::max(high, r->interval.high);
    }
    first = std::pow(10, std::floor(std::log10(first)));
    last = std::max(first * 10, std::pow(10, std::ceil(std::log10(last))));
    low = std::floor(low * 20) / 20;
    high = std::max(low + 0.05, std::ceil(high * 20) / 20);
  }
  double x(double seconds) const {
    const double share =
        (std::log10(std::max(seconds, 0.01)) - std::log10(first)) / (std::log10(last) - std::log10(first));
    return kLeft + share * (kWidth - kLeft - kRight);
  }
  double y(double accuracy) const { return kTop + (high - accuracy) / (high - low) * (kHeight - kTop - kBottom); }
};

std::string plot(const std::vector<const WayResult*>& shown, const WayResult* pick) {
  const Axes axes(shown);
  std::string svg = fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="accuracy against training time">)",
                                kWidth, kHeight);
  for (double mark = axes.first; mark <= axes.last * 1.01; mark *= 10)
    svg += fmt::format(
        R"(<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/><text x="{0:.1f}" y="{3}" text-anchor="middle">{4:g} s</text>)",
        axes.x(mark), kTop, kHeight - kBottom, kHeight - kBottom + 18, mark);
  const int steps = static_cast<int>(std::lround((axes.high - axes.low) / 0.05));
  for (int i = 0; i <= steps; ++i) {
    const double mark = axes.low + 0.05 * i;
    svg += fmt::format(
        R"(<line class="grid" x1="{1}" x2="{2}" y1="{0:.1f}" y2="{0:.1f}"/><text x="{3}" y="{4:.1f}" text-anchor="end">{5:.0f} %</text>)",
        axes.y(mark), kLeft, kWidth - kRight, kLeft - 8, axes.y(mark) + 4, 100 * mark);
  }
  std::vector<std::pair<double, double>> names;  // where names stand
  for (const WayResult* r : shown) {
    const double x = axes.x(r->train_seconds), y = axes.y(r->accuracy);
    double name_y = y + 4;
    const auto covered = [&](const std::pair<double, double>& name) {
      return std::abs(name.first - x) < kNameWidth && std::abs(name.second - name_y) < kNameHeight;
    };
    while (std::ranges::any_of(names, covered)) name_y += kNameHeight;
    names.emplace_back(x, name_y);
    svg += fmt::format(
        R"(<g class="{0}"><line x1="{1:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{3:.1f}"/><circle cx="{1:.1f}" cy="{4:.1f}" r="5"/><text x="{5:.1f}" y="{6:.1f}">{7}</text></g>)",
        r == pick ? "way pick" : "way", x, axes.y(r->interval.low), axes.y(r->interval.high), y, x + 9, name_y,
        escape_html(r->name()));
  }
  svg += fmt::format(R"(<text x="{}" y="{}" text-anchor="middle">training time (logarithmic)</text></svg>)",
                     (kLeft + kWidth - kRight) / 2, kHeight - 8);
  return svg;
}

std::string table(const std::vector<WayResult>& results, const WayResult* pick) {
  std::string rows;
  for (const WayResult& r : results) {
    const std::string name =
        fmt::format(R"(<th scope="row">{}<small>{}</small></th>)", escape_html(r.name()), escape_html(r.way.summary));
    if (r.failed) {
      rows += fmt::format(R"(<tr>{}<td colspan="6" class="note">failed: {}</td></tr>)", name, escape_html(r.note));
      continue;
    }
    rows += fmt::format(
        "<tr{}>{}<td>{:.1f} %</td><td>{:.1f}–{:.1f}</td><td>{}</td><td>{:.1f} s</td><td>{:.0f} "
        "MB</td><td>{:.0f}</td></tr>",
        &r == pick ? R"( class="pick")" : "", name, 100 * r.accuracy, 100 * r.interval.low, 100 * r.interval.high,
        r.trained, r.train_seconds, static_cast<double>(r.peak_bytes) / 1e6, r.rows_per_second);
    if (!r.note.empty()) rows += fmt::format(R"(<tr><td colspan="7" class="note">{}</td></tr>)", escape_html(r.note));
  }
  return "<table><thead><tr><th>way</th><th>accuracy</th><th>95 %</th><th>trained numbers</th><th>training</th>"
         "<th>memory</th><th>rows/s</th></tr></thead><tbody>" +
         rows + "</tbody></table>";
}

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

std::string ways_page(const std::vector<WayResult>& results, const std::string& title) {
  const WayResult* pick = recommended(results);
  std::vector<const WayResult*> shown;
  for (const WayResult& r : results)
    if (!r.failed) shown.push_back(&r);
  return fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>{0}</title><style>{1}</style></head><body><h1>{0}</h1>"
      "<p>{2}.</p>{3}{4}<p>Bars are 95 % intervals (Wilson). Training time is that of the whole command: loading, "
      "reading "
      "the texts, training. Every number was measured in this run.</p></body></html>\n",
      escape_html(title), kStyle, escape_html(recommendation(results)), shown.empty() ? "" : plot(shown, pick),
      table(results, pick));
}

}  // namespace cloze
