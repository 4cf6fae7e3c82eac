// Brings what is looked at up to date, and copies text; everything works without it.
'use strict';
(() => {
  const copies = (root) => {
    if (!navigator.clipboard) return;
    for (const pre of root.querySelectorAll('pre[data-copy]')) {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'quiet';
      button.textContent = 'Copy';
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(pre.textContent);
        button.textContent = 'Copied';
      });
      pre.after(button);
    }
  };
  copies(document);

  const region = document.querySelector('[data-live]');
  if (!region || !window.EventSource) return;
  const what = region.dataset.live;
  const bar = document.createElement('div');
  bar.className = 'live';
  const said = document.createElement('span');
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet';
  bar.append(said, button);
  document.getElementById('main').prepend(bar);

  let source = null, seen = null, busy = false, paused = false;
  const show = () => {
    said.textContent = paused ? 'stands still' : source ? 'live' : 'connecting…';
    button.textContent = paused ? 'Go on' : 'Pause';
  };
  // Nothing is taken from under somebody who marks text or has gone into the table by keyboard.
  const inUse = () => region.contains(document.activeElement) || !getSelection().isCollapsed;
  const refresh = async () => {
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' }, cache: 'no-store' });
    if (answer.status === 401) { location.reload(); return; }
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const fresh = page.querySelector('[data-live]');
    if (fresh && !inUse()) region.replaceChildren(...fresh.childNodes);
  };
  const onTick = async (event) => {
    const now = JSON.parse(event.data)[what];
    if (now === seen || busy || paused || inUse()) return;
    busy = true;
    try { await refresh(); seen = now; } catch { /* the next tick tries again */ } finally { busy = false; }
  };
  const open = () => {
    if (source || paused || document.hidden) return;
    source = new EventSource('/api/v1/live');
    source.addEventListener('tick', onTick);
    show();
  };
  const close = () => { if (source) { source.close(); source = null; } };
  button.addEventListener('click', () => {
    paused = !paused;
    if (paused) close(); else open();
    show();
  });
  document.addEventListener('visibilitychange', () => { if (document.hidden) close(); else open(); });
  show();
  open();
})();
