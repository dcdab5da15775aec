// Which trials are selected: one phase at a time, in all tables and charts.
//
//   resweep:toggle {phase, trial}   a click on a row or a mark
//     -> resweep:select {phase, trials}   what is selected now; no trials: nothing
const selection = {phase: null, trials: new Set()};

function selectTrials(phase, trials) {
  const before = selection.phase;
  selection.phase = phase;
  selection.trials = new Set(trials);
  if (before !== null && before !== phase) announce(before, []);
  announce(phase, [...selection.trials]);
}

function announce(phase, trials) {
  document.dispatchEvent(new CustomEvent('resweep:select', {detail: {phase, trials}}));
}

function selectedOf(phase) {
  return selection.phase === phase ? selection.trials : new Set();
}

document.addEventListener('resweep:toggle', event => {
  const {phase, trial} = event.detail;
  const trials = new Set(selectedOf(phase));
  if (!trials.delete(trial)) trials.add(trial);
  selectTrials(phase, trials);
});

// A bar at the lower edge says what is selected, wherever the reader is on the page.
const selectionText = element('span');
const selectionBar = element('div', {class: 'selection-bar', role: 'status', hidden: ''},
  selectionText, button('Clear selection', () => selectTrials(selection.phase, [])));
document.body.append(selectionBar);

document.addEventListener('resweep:select', event => {
  const {phase, trials} = event.detail;
  if (phase !== selection.phase) return;
  selectionBar.hidden = trials.length === 0;
  const named = trials.slice(0, 3).join(', ') + (trials.length > 3 ? ' ...' : '');
  selectionText.textContent =
    `${trials.length.toLocaleString('en')} selected in ${phase}: ${named}`;
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && selection.trials.size) selectTrials(selection.phase, []);
});
