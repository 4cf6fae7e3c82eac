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

  // It is another element after each time it was brought up to date.
  const region = () => document.querySelector('[data-live]');
  if (!region() || !window.EventSource || !window.htmx) return;
  const what = region().dataset.live;
  const bar = document.createElement('div');
  bar.className = 'live';
  const said = document.createElement('span');
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet';
  bar.append(said, button);
  document.getElementById('main').prepend(bar);

  let source = null, seen = null, asked = null, paused = false;
  const show = () => {
    said.textContent = paused ? 'stands still' : source ? 'live' : 'connecting…';
    button.textContent = paused ? 'Go on' : 'Pause';
  };
  // Nothing is taken from under somebody who marks text or has gone into the table by keyboard.
  const inUse = () => region().contains(document.activeElement) || !getSelection().isCollapsed;
  const onTick = (event) => {
    const now = JSON.parse(event.data)[what];
    if (now === seen || paused || inUse()) return;
    asked = now;
    htmx.trigger(region(), 'tick');
  };
  document.body.addEventListener('htmx:beforeSwap', (event) => {
    if (event.detail.xhr.status === 401) location.reload();
    if (inUse()) event.detail.shouldSwap = false;
  });
  document.body.addEventListener('htmx:afterSwap', () => { seen = asked; });
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
