# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the page of the catalog looks: light and dark, from a telephone's 320 pixels to a wide screen."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --ink: #1d2126; --soft: #5b6470; --line: #d6d9dc; --card: #ffffff;
  --full: #1f5fa8; --diff: #8a5a00; --incr: #1f7a4d; --window: #7a5bb5; --bad: #b3261e; --on: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e6e8ea; --soft: #a3abb5; --line: #343a41;
  --card: #1d2125; --full: #7db2f0; --diff: #e3b25a; --incr: #6fcf9b; --window: #b79df0;
  --bad: #ff8a80; --on: #14171a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header, main { max-width: 70rem; margin: 0 auto; padding: 1rem; }
header { padding-bottom: 0; } header p { margin: 0; color: var(--soft); }
h1 { font-size: 1.5rem; margin: .5rem 0 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
ul { margin: 0; padding-left: 1.2rem; } li { margin: .25rem 0; overflow-wrap: anywhere; }
.notes { list-style: none; padding: 0; color: var(--soft); }
.scroll { overflow-x: auto; } svg { display: block; width: 100%; min-width: 40rem; height: auto; }
svg text { font-size: 11px; text-anchor: middle; fill: var(--on); } svg .axis { text-anchor: start; fill: var(--soft);
  font-size: 12px; } svg .end { text-anchor: end; }
.lane { stroke: var(--line); } svg g.full circle { fill: var(--full); } svg g.diff circle { fill: var(--diff); }
svg g.incr circle { fill: var(--incr); } svg rect.window { fill: var(--window); }
.legend { margin: 0 0 .5rem; display: flex; flex-wrap: wrap; gap: .25rem 1rem; color: var(--soft); }
.legend span::before { content: ""; display: inline-block; width: .7rem; height: .7rem; border-radius: 50%;
  margin-right: .4rem; background: var(--soft); }
.legend .full::before, .bar i.full { background: var(--full); }
.legend .diff::before, .bar i.diff { background: var(--diff); }
.legend .incr::before, .bar i.incr { background: var(--incr); } .legend .window::before { background: var(--window); }
.chain, .chain ul { list-style: none; padding-left: 0; }
.chain ul { padding-left: .8rem; border-left: 1px solid var(--line);
  margin-left: .4rem; }
.chain div { border-left: 4px solid var(--soft); padding: .1rem .6rem; } .chain div.full { border-color: var(--full); }
.chain div.diff { border-color: var(--diff); } .chain div.incr { border-color: var(--incr); }
.chain span, dd { color: var(--soft); } .chain em { color: var(--ink); font-style: normal; }
.bad, .chain em.bad { color: var(--bad); font-style: normal; }
.good b::before { content: "\\2713  "; color: var(--incr); } li.bad b::before { content: "\\2717  "; }
dl { display: grid; grid-template-columns: minmax(6rem, auto) 1fr; gap: .3rem .8rem; margin: 0; } dd { margin: 0; }
.bar { display: block; background: var(--line); border-radius: .25rem; overflow: hidden;
  height: .7rem; margin-top: .45rem; }
.bar i:not(.full, .diff, .incr) { background: var(--soft); }
.bar i { display: block; height: 100%; }
"""
