"""The fault panel as a page: one card for each fault, with a switch."""

import html
from collections.abc import Mapping

STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; }
nav a { margin-right: 1rem; }
p { margin: .25rem 0; }
.muted { opacity: .7; }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; margin: .8rem 0; }
.card.on { border-color: #d33; box-shadow: inset .3rem 0 0 #d33; }
.row { display: flex; gap: 1rem; align-items: center; justify-content: space-between; }
button { font: inherit; padding: .35rem 1rem; border-radius: .4rem; border: 1px solid var(--line); cursor: pointer; }
.on button { background: #d33; color: #fff; border-color: #d33; }
code { font-size: .9em; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
pre { white-space: pre-wrap; border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; }
iframe { width: 100%; height: 32rem; border: 1px solid var(--line); border-radius: .5rem; background: #fff; }
"""

_SCRIPT = """
const zh = navigator.language.startsWith('zh');
const say = zh
  ? {on: '开始', off: '结束', ends: s => s + ' 秒后自动结束', lasts: '进行中', lost: '演示已停止。', title: '故障面板',
     lead: '打开一个故障，看火眼如何发现它、告诉谁、何时恢复。'}
  : {on: 'Break it', off: 'Repair it', ends: s => 'ends by itself in ' + s + ' s', lasts: 'lasts',
     lost: 'The demonstration has ended.', title: 'Fault panel',
     lead: 'Break something and see how Huoyan notices it, whom it tells, and when it is over.'};
document.documentElement.lang = zh ? 'zh' : 'en';
document.title = 'Huoyan · ' + say.title;
document.getElementById('title').textContent = say.title;
document.getElementById('lead').textContent = say.lead;
const list = document.getElementById('faults');
const cards = new Map();
function card(fault) {
  const box = document.createElement('div');
  box.dataset.fault = fault.name;
  const row = box.appendChild(document.createElement('div'));
  row.className = 'row';
  const title = row.appendChild(document.createElement('strong'));
  title.textContent = zh ? fault.title_zh : fault.title;
  const button = row.appendChild(document.createElement('button'));
  button.onclick = async () => {
    button.disabled = true;
    const answer = await fetch('/api/faults/' + fault.name, {
      method: 'POST', body: JSON.stringify({on: !box.classList.contains('on')})});
    if (answer.ok) show(await answer.json());
    button.disabled = false;
  };
  const shows = box.appendChild(document.createElement('p'));
  shows.textContent = zh ? fault.shows_zh : fault.shows;
  const note = box.appendChild(document.createElement('p'));
  note.className = 'muted';
  list.appendChild(box);
  const entry = {box, button, note};
  cards.set(fault.name, entry);
  return entry;
}
function show(fault) {
  const {box, button, note} = cards.get(fault.name) || card(fault);
  box.className = fault.active ? 'card on' : 'card';
  button.textContent = fault.active ? say.off : say.on;
  const left = fault.until_at ? Math.max(0, Math.round(fault.until_at - Date.now() / 1000)) : null;
  note.textContent = !fault.active ? '' : left === null ? say.lasts : say.ends(left);
}
async function refresh() {
  try {
    (await (await fetch('/api/faults')).json()).faults.forEach(show);
    document.getElementById('lost').textContent = '';
  } catch { document.getElementById('lost').textContent = say.lost; }
  setTimeout(refresh, 1000);
}
refresh();
"""


def page(links: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        links: Names and addresses to show at the top.
    """
    nav = " ".join(f'<a href="{html.escape(url)}">{html.escape(name)}</a>' for name, url in links.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>Huoyan · Fault panel</title><style>{STYLE}</style></head>
<body><h1 id="title">Fault panel</h1><p id="lead" class="muted"></p><nav>{nav}</nav>
<p id="lost" role="status"></p><main id="faults"></main><script>{_SCRIPT}</script></body></html>
"""
