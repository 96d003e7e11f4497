// The name that a tab makes up for itself: 32 hex digits; a reload keeps it. Each tab takes back its own decisions.

export let tab = sessionStorage.getItem("tab");

function renew() {
  tab = crypto.randomUUID().replaceAll("-", "");
  sessionStorage.setItem("tab", tab);
  return tab;
}

// A duplicated tab has a copy of the other one's storage; each must undo its own. The lock is free again on a reload.
export function claim() {
  if (!tab) renew();
  const mine = tab;
  navigator.locks.request(mine, { signal: AbortSignal.timeout(1000) }, () => new Promise(() => {})).catch(() => {
    if (tab === mine) { renew(); claim(); }
  });
}
