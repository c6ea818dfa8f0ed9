// what bears data-choose can be chosen; the last one chosen is marked
element.addEventListener('click', (event) => {
  const chosen = event.target.closest('[data-choose]');
  if (!chosen) return;
  for (const other of element.querySelectorAll('[aria-current]')) other.removeAttribute('aria-current');
  chosen.setAttribute('aria-current', 'true');
  trigger('choose', { choice: chosen.dataset.choose });
});
