"""Say how a report looks: one style sheet, without a font or a picture from elsewhere."""

import hashlib
from base64 import b64encode

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2330; --soft: #5a6677; --line: #dde2e9;
  --bar: #2f6f9f; --track: #e8ecf1; --over: #c2452d; --mark: #1b2330; --accent: #2f6f9f;
  --code: #f0f3f7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151b; --card: #191f28; --ink: #e7ebf1; --soft: #9aa7b8; --line: #2d3642;
    --bar: #5aa3d6; --track: #262e39; --over: #f0795f; --mark: #e7ebf1; --accent: #7db8e2;
    --code: #0f1319;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
header { margin-bottom: 2rem; }
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 0.35rem; }
h2 { font-size: 1.25rem; line-height: 1.3; letter-spacing: -0.01em; margin: 0 0 0.75rem; }
h3 { font-size: 1rem; line-height: 1.4; margin: 0 0 0.35rem; }
p { margin: 0 0 0.75rem; max-width: 46rem; }
.soft { color: var(--soft); }
header p { margin: 0; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.5rem; margin: 0 0 1.25rem;
}
section > :last-child { margin-bottom: 0; }
.plain { background: none; border: 0; padding: 0; }
ol.todo { list-style: none; counter-reset: todo; margin: 0; padding: 0; }
ol.todo > li {
  counter-increment: todo; position: relative; padding: 0 0 0 3rem; margin: 0 0 1.5rem;
}
ol.todo > li:last-child { margin-bottom: 0; }
ol.todo > li::before {
  content: counter(todo); position: absolute; left: 0; top: 0; width: 2rem; height: 2rem;
  border-radius: 50%; background: var(--accent); color: var(--card);
  font-weight: 700; line-height: 2rem; text-align: center;
}
ol.todo h3 { font-size: 1.08rem; padding-top: 0.2rem; }
pre {
  margin: 0; padding: 0.6rem 0.8rem; background: var(--code); border: 1px solid var(--line);
  border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere;
}
code { font: 0.84rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
dl { margin: 0 0 1.25rem; display: grid; gap: 0.75rem 1.5rem; }
dl.glance { grid-template-columns: repeat(auto-fit, minmax(7.75rem, 1fr)); gap: 0.75rem; }
dl.glance > div {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 0.8rem 0.9rem; max-width: 18rem;
}
dl.glance dd.value { font-size: 1.4rem; line-height: 1.25; font-weight: 650;
  letter-spacing: -0.015em; }
dl.figures { grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); }
dt { color: var(--soft); font-size: 0.86rem; line-height: 1.4; }
dd { margin: 0; }
dd.value { font-size: 1.15rem; font-weight: 600; line-height: 1.35; }
dd.note { color: var(--soft); font-size: 0.84rem; line-height: 1.45; }
figure { margin: 0 0 1.5rem; }
figcaption, caption {
  text-align: left; font-weight: 600; font-size: 0.95rem; margin: 0 0 0.6rem; padding: 0;
}
ul.bars { list-style: none; margin: 0; padding: 0; }
ul.bars li {
  display: grid; grid-template-columns: minmax(0, 15rem) minmax(0, 1fr) 8.5rem;
  gap: 0 0.85rem; align-items: center; padding: 0.22rem 0; font-size: 0.92rem; line-height: 1.35;
}
ul.bars .value { text-align: right; }
ul.bars small { display: block; }
svg { display: block; width: 100%; }
svg.bar { height: 0.85rem; border-radius: 3px; }
svg.days { height: 8rem; border-bottom: 1px solid var(--line); }
.track { fill: var(--track); } .fill { fill: var(--bar); } .over { fill: var(--over); }
.mark { stroke: var(--mark); stroke-width: 2px; vector-effect: non-scaling-stroke; }
.ends { display: flex; justify-content: space-between; gap: 1rem; padding-top: 0.3rem; }
small, .ends, .legend { color: var(--soft); font-size: 0.82rem; }
.legend { margin: 0.5rem 0 0; }
.wide { overflow-x: auto; margin: 0 0 1.25rem; }
.wide:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; line-height: 1.4; }
th, td { padding: 0.4rem 0.55rem; text-align: left; vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line);
  vertical-align: bottom; overflow-wrap: normal; }
thead .n { white-space: normal; }
tbody th { font-weight: 500; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
table { overflow-wrap: break-word; }
.t { max-width: 20rem; }
.p { min-width: 13rem; }
details { margin: -0.75rem 0 1.25rem; font-size: 0.9rem; }
summary { cursor: pointer; color: var(--soft); }
details .wide { margin: 0.5rem 0 0; max-width: 26rem; }
footer { color: var(--soft); font-size: 0.86rem; margin-top: 2rem; }
@media (max-width: 40rem) {
  main { padding: 1.5rem 0.85rem 3rem; }
  h1 { font-size: 1.5rem; }
  section { padding: 1.1rem 1rem; }
  .plain { padding: 0; }
  ol.todo > li { padding-left: 0; }
  ol.todo > li::before { position: static; display: block; margin-bottom: 0.4rem; }
  dl.glance { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  dl.glance dd.value { font-size: 1.25rem; }
  ul.bars li { grid-template-columns: minmax(0, 1fr) auto; }
  ul.bars svg { grid-column: 1 / -1; grid-row: 2; margin: 0.2rem 0 0.35rem; }
}
@media print {
  :root {
    --page: #ffffff; --card: #ffffff; --ink: #000000; --soft: #444444; --line: #bbbbbb;
    --bar: #555555; --track: #eeeeee; --over: #000000; --mark: #000000; --accent: #333333;
    --code: #ffffff;
  }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  section { border-width: 0 0 1px; border-radius: 0; padding: 0 0 1rem; }
  ol.todo > li, figure, tr, dl > div { break-inside: avoid; }
  h2, h3, figcaption, caption { break-after: avoid; }
  svg, ol.todo > li::before { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .wide { overflow: visible; }
}
"""

STYLE_SOURCE = "'sha256-" + b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"
"""The style sheet as a source that a content security policy may name."""

POLICY = (
    f"default-src 'none'; style-src {STYLE_SOURCE}; img-src data:;"
    " base-uri 'none'; form-action 'none'"
)
"""What a report's page may do: show itself. Nothing is loaded, nothing runs."""
