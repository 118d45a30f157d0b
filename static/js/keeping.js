/* What a page keeps in its tab, so that it goes on after a reload with what it began. */

export function kept(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name));
  } catch {
    return null; // storage is switched off: a reload begins anew
  }
}

export function keep(name, what) {
  try {
    if (what) sessionStorage.setItem(name, JSON.stringify(what));
    else sessionStorage.removeItem(name);
  } catch {
    // as above
  }
}
