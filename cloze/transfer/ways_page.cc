#include <fmt/format.h>

#include <algorithm>

#include "cloze/base/html.h"
#include "cloze/base/scatter.h"
#include "cloze/transfer/transfer_ways.h"

namespace cloze {
namespace {

std::string plot(const std::vector<const WayResult*>& shown, const WayResult* pick) {
  std::vector<ScatterPoint> points;
  constexpr double kLeastSeconds = 0.01;
  for (const WayResult* r : shown)
    points.push_back({r->name(), std::max(r->train_seconds, kLeastSeconds), r->accuracy, r->interval.low,
                      r->interval.high, r == pick});
  return scatter_plot(points, {"accuracy against training time", "s", "training time"});
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
      escape_html(title), report_style(), escape_html(recommendation(results)), shown.empty() ? "" : plot(shown, pick),
      table(results, pick));
}

}  // namespace cloze
