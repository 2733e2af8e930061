#include "cloze/transfer/attention_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cloze/base/html.h"
#include "cloze/base/json.h"

namespace cloze {
namespace {

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Two digits of base 64 a share.
std::string packed(const Tensor& layer) {
  std::string out;
  out.reserve(static_cast<size_t>(layer.elements()) * 2);
  for (int64_t i = 0; i < layer.elements(); ++i) {
    const double share = std::clamp(static_cast<double>(layer.data<float>()[i]), 0.0, 1.0);
    const int level = static_cast<int>(std::lround(share * 4095));
    out += kDigits[level / 64];
    out += kDigits[level % 64];
  }
  return out;
}

/// JSON that may stand in a script: no "</script" and no "<!--" can come of it.
std::string script_json(const std::string& json) {
  std::string out;
  for (const char c : json) c == '<' ? out += "\\u003c" : out += c;
  return out;
}

constexpr const char* kStyle = R"css(
:root{--ink:#1c2430;--soft:#5b6675;--line:#dde2e8;--page:#fff;--mark:#2f6db5;--pick:#fff3d6}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7ec;--soft:#9aa5b3;--line:#333b46;--page:#15191f;--mark:#7db2ee;--pick:#3a3216}}
body{font:15px/1.45 system-ui,sans-serif;max-width:1040px;margin:1.5em auto;padding:0 1em;color:var(--ink);background:var(--page)}
h1{font-size:1.25em;margin:.2em 0}p{color:var(--soft);margin:.3em 0 1em}
#grid{display:grid;justify-content:start;gap:4px;overflow-x:auto;margin-bottom:1em;align-items:center}
#grid button{padding:0;border:2px solid var(--line);background:none;line-height:0;cursor:pointer}
#grid button[aria-pressed=true]{border-color:var(--mark)}#grid span{font-size:12px;color:var(--soft);text-align:center}
canvas{width:64px;height:64px;image-rendering:pixelated}
#view{position:relative;display:flex;justify-content:space-between;max-width:640px}
#view svg{position:absolute;inset:0;width:100%;height:100%;pointer-events:none}
ol{list-style:none;margin:0;padding:0;z-index:1}li{height:24px;line-height:24px;white-space:pre}
li button{font:inherit;color:inherit;background:none;border:0;padding:0 6px;height:24px;cursor:pointer;border-radius:4px}
li button:hover,li button:focus-visible,li.on button{background:var(--pick)}#to li{padding:0 6px;border-radius:4px}
#from{text-align:right}.b{color:var(--mark)}svg line{stroke:var(--mark)}#say{min-height:3em}
)css";

constexpr const char* kScript = R"js(
const D=JSON.parse(document.getElementById('data').textContent),S=D.tokens.length,N=D.heads,L=D.layers.length;
const A='ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',R={};[...A].forEach((c,i)=>R[c]=i);
const at=(l,h,i,j)=>{const k=2*((h*S+i)*S+j),s=D.layers[l];return(R[s[k]]*64+R[s[k+1]])/4095};
const $=id=>document.getElementById(id),grid=$('grid'),from=$('from'),to=$('to'),svg=$('lines');
let layer=Math.max(0,D.habits.findLastIndex(x=>x.length)),head=0,token=-1;
grid.style.gridTemplateColumns='auto repeat('+N+',68px)';
const label=t=>{const s=document.createElement('span');s.textContent=t;grid.append(s)};
label('');for(let h=0;h<N;h++)label('head '+h);
const buttons=[];
for(let l=0;l<L;l++){label('layer '+l);for(let h=0;h<N;h++){if(h>=D.habits[l].length){label('');continue}const b=document.createElement('button'),c=document.createElement('canvas');
c.width=c.height=S;const x=c.getContext('2d'),p=x.createImageData(S,S);
for(let i=0;i<S;i++)for(let j=0;j<S;j++){const k=4*(i*S+j);p.data[k]=47;p.data[k+1]=109;p.data[k+2]=181;p.data[k+3]=255*Math.sqrt(at(l,h,i,j))}
x.putImageData(p,0,0);b.append(c);b.setAttribute('aria-label','layer '+l+', head '+h);b.title=D.habits[l][h];
b.onclick=()=>{layer=l;head=h;draw()};buttons.push([l,h,b]);grid.append(b)}}
D.tokens.forEach((t,i)=>{const a=document.createElement('li'),b=document.createElement('button'),c=document.createElement('li');
b.textContent=t;c.textContent=t;if(D.segments[i]){b.className='b';c.className='b'}
b.onmouseenter=b.onfocus=()=>{token=i;draw()};b.onmouseleave=b.onblur=()=>{token=-1;draw()};a.append(b);from.append(a);to.append(c)});
function draw(){buttons.forEach(([l,h,b])=>b.setAttribute('aria-pressed',l===layer&&h===head));
const w=$('view').clientWidth,x1=from.offsetWidth+4,x2=w-to.offsetWidth-4;svg.replaceChildren();
for(let i=0;i<S;i++){if(token>=0&&i!==token)continue;for(let j=0;j<S;j++){const v=at(layer,head,i,j);if(v<.01)continue;
const e=document.createElementNS('http://www.w3.org/2000/svg','line');e.setAttribute('x1',x1);e.setAttribute('x2',x2);
e.setAttribute('y1',24*i+12);e.setAttribute('y2',24*j+12);e.setAttribute('stroke-opacity',Math.min(1,v*1.2));e.setAttribute('stroke-width',.5+3*v);svg.append(e)}}
[...from.children].forEach((e,i)=>e.className=i===token?'on':'');
[...to.children].forEach((e,j)=>e.style.background=token<0?'':'rgba(240,180,40,'+.8*at(layer,head,token,j)+')');
let t='Layer '+layer+', head '+head+': '+D.habits[layer][head]+'.';
if(token>=0){const o=[...Array(S).keys()].sort((a,b)=>at(layer,head,token,b)-at(layer,head,token,a)).slice(0,5);
t='“'+D.tokens[token]+'” looks at '+o.map(j=>D.tokens[j]+' '+(100*at(layer,head,token,j)).toFixed(1)+' %').join(', ')+'.'}
$('say').textContent=t}
addEventListener('resize',draw);draw();
)js";

std::string habits_text(const HeadHabits& h) {
  return fmt::format(
      "itself {:.0f} %, previous {:.0f} %, next {:.0f} %, [CLS] {:.0f} %, [SEP] {:.0f} %, entropy {:.1f} bits",
      100 * h.itself, 100 * h.previous, 100 * h.next, 100 * h.first, 100 * h.separators, h.entropy);
}

}  // namespace

HeadHabits habits_of(const AttentionMaps& maps, size_t layer, int64_t head) {
  HeadHabits habits;
  const int64_t S = static_cast<int64_t>(maps.tokens.size());
  const float* map = maps.layers[layer].data<float>() + head * S * S;
  for (int64_t i = 0; i < S; ++i)
    for (int64_t j = 0; j < S; ++j) {
      const double share = static_cast<double>(map[i * S + j]);
      if (i == j) habits.itself += share / static_cast<double>(S);
      if (j == i - 1) habits.previous += share / static_cast<double>(S - 1);
      if (j == i + 1) habits.next += share / static_cast<double>(S - 1);
      if (j == 0) habits.first += share / static_cast<double>(S);
      if (maps.tokens[static_cast<size_t>(j)] == "[SEP]") habits.separators += share / static_cast<double>(S);
      if (share > 0) habits.entropy -= share * std::log2(share) / static_cast<double>(S);
    }
  return habits;
}

std::string habits_table(const AttentionMaps& maps) {
  std::string text = fmt::format("{:>5} {:>4} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "layer", "head", "itself",
                                 "previous", "next", "[CLS]", "[SEP]", "entropy");
  for (size_t layer = 0; layer < maps.layers.size(); ++layer)
    for (int64_t head = 0; head < maps.layers[layer].shape()[0]; ++head) {
      const HeadHabits h = habits_of(maps, layer, head);
      text += fmt::format("{:>5} {:>4} {:>8.3f} {:>8.3f} {:>8.3f} {:>8.3f} {:>8.3f} {:>8.2f}\n", layer, head, h.itself,
                          h.previous, h.next, h.first, h.separators, h.entropy);
    }
  return text;
}

std::string attention_page(const AttentionMaps& maps, const std::string& title) {
  JsonLine line;
  line.begin_object().key("tokens").begin_array();
  for (const std::string& token : maps.tokens) line.value(token);
  line.end_array().key("segments").begin_array();
  for (const int32_t segment : maps.segments) line.value(segment);
  int64_t heads = 0;  // of the layer that has most
  for (const Tensor& layer : maps.layers) heads = std::max(heads, layer.shape()[0]);
  line.end_array().member("heads", heads).key("habits").begin_array();
  for (size_t layer = 0; layer < maps.layers.size(); ++layer) {
    line.begin_array();
    for (int64_t head = 0; head < maps.layers[layer].shape()[0]; ++head)
      line.value(habits_text(habits_of(maps, layer, head)));
    line.end_array();
  }
  line.end_array().key("layers").begin_array();
  for (const Tensor& layer : maps.layers) line.value(packed(layer));
  line.end_array().end_object();
  return fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>{0}</title><style>{1}</style></head><body><h1>{0}</h1>"
      "<p>Each square is a head: rows look, columns are looked at. Choose one; point at a token on the left to see "
      "where "
      "it looks. Blue tokens are of the second text.</p><div id=\"grid\"></div><p id=\"say\" aria-live=\"polite\"></p>"
      "<div id=\"view\"><svg id=\"lines\" aria-hidden=\"true\"></svg><ol id=\"from\"></ol><ol id=\"to\"></ol></div>"
      "<script type=\"application/json\" id=\"data\">{2}</script><script>{3}</script></body></html>\n",
      escape_html(title), kStyle, script_json(line.text()), kScript);
}

}  // namespace cloze
