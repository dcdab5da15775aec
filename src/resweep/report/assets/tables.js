// What tables can do with a script: sort, filter, choose columns, turn pages, download, select.
// Without it, they are complete up to a number of rows. Only the rows of one page are in the
// document; the others wait as elements or as data.
const ROWS_A_PAGE = 100;
const MOST_PRINTED = 1000;
const collator = new Intl.Collator('en', {numeric: true});

function save(name, url) {
  const link = element('a', {href: url, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  if (url.startsWith('blob:')) setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function saveText(name, text, type) {
  save(name, URL.createObjectURL(new Blob([text], {type})));
}

// A row: its cells as {text, value, mark}, and its element once there is one.
function rowOfElement(tr) {
  const cells = [...tr.cells].map(td => {
    const mark = td.querySelector('.mark');
    const text = td.firstChild?.nodeType === Node.TEXT_NODE ? td.firstChild.data.trim() : '';
    const value = td.dataset.value;
    return {text, value: value === undefined ? null : Number(value), mark: mark?.textContent ?? ''};
  });
  return {cells, tr, trial: tr.dataset.trial ?? null};
}

function rowOfData([kind, trial, ...cells]) {
  return {kind, trial, tr: null, cells: cells.map(cell => typeof cell === 'string'
    ? {text: cell, value: null, mark: ''} : {text: cell[0], value: cell[1], mark: cell[2]})};
}

class SortedTable {
  constructor(table) {
    this.place = table.closest('.table');
    this.table = table;
    this.heads = [...table.tHead.rows[0].cells];
    this.titles = this.heads.map(head => head.textContent);
    this.phase = this.place?.dataset.phase;
    this.rows = [...table.tBodies[0].rows].map(rowOfElement);
    const data = this.place?.querySelector('script[type="application/json"]');
    if (data) {
      const {links, rows} = JSON.parse(data.textContent);
      this.links = links;
      this.rows.push(...rows.map(rowOfData));
    }
    this.order = this.rows;
    this.found = this.rows;
    this.hidden = new Set();
    this.selected = new Set();
    this.only = false;
    this.first = 0;
    this.heads.forEach((head, column) => {
      head.replaceChildren(button(this.titles[column], () => this.sort(column)));
    });
    if (this.place) this.addTools();
    this.show();
  }

  addTools() {
    this.filter = element('input', {type: 'search', placeholder: 'Filter rows',
      'aria-label': 'Filter rows: words that a row must contain'});
    this.filter.addEventListener('input', () => this.search());
    const choices = this.titles.map((title, column) => {
      const box = element('input', {type: 'checkbox'});
      box.checked = true;
      box.addEventListener('change', () => {
        this.hidden[box.checked ? 'delete' : 'add'](column);
        this.show();
      });
      return element('label', {}, box, ` ${title}`);
    });
    const columns = element('details', {class: 'columns'},
      element('summary', {}, 'Columns'), element('div', {}, ...choices));
    this.status = element('span', {role: 'status'});
    this.back = button('Previous', () => this.turn(-1));
    this.next = button('Next', () => this.turn(1));
    this.onlyButton = button('Only selected', () => {
      this.only = !this.only;
      this.search();
    }, {'aria-pressed': 'false', hidden: ''});
    this.place.prepend(element('div', {class: 'tools'}, this.filter, columns,
      button('CSV', () => this.saveCsv(), {title: 'Download these rows as CSV'}),
      button('JSON', () => this.saveJson(), {title: 'Download these rows as JSON'}),
      this.onlyButton, element('span', {class: 'pages'}, this.status, this.back, this.next)));
    document.addEventListener('resweep:select', event => this.select(event.detail));
    this.table.tBodies[0].addEventListener('click', event => {
      const trial = event.target.closest('tr')?.dataset.trial;
      if (trial === undefined || event.target.closest('a')) return;
      document.dispatchEvent(
        new CustomEvent('resweep:toggle', {detail: {phase: this.phase, trial}}));
    });
  }

  sort(column) {
    const up = this.heads[column].getAttribute('aria-sort') !== 'ascending';
    this.heads.forEach(head => head.removeAttribute('aria-sort'));
    this.heads[column].setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const key = row => row.cells[column].value ?? row.cells[column].text;
    this.order = [...this.rows].sort((one, other) => {
      const a = key(one), b = key(other);
      if (a === '' || b === '') return a === b ? 0 : a === '' ? 1 : -1;  // empty ones stay last
      const order = typeof a === 'number' && typeof b === 'number'
        ? a - b : collator.compare(String(a), String(b));
      return up ? order : -order;
    });
    this.search();
  }

  search() {
    const words = (this.filter?.value ?? '').toLowerCase().split(/\s+/).filter(Boolean);
    this.found = this.order.filter(row => {
      if (this.only && !this.selected.has(row.trial)) return false;
      if (!words.length) return true;
      row.all ??= row.cells.map(cell => `${cell.text} ${cell.mark}`).join(' ').toLowerCase();
      return words.every(word => row.all.includes(word));
    });
    this.first = 0;
    this.show();
  }

  turn(pages) {
    this.first += pages * ROWS_A_PAGE;
    this.show();
  }

  select({phase, trials}) {
    this.selected = new Set(phase === this.phase ? trials : []);
    this.onlyButton.hidden = this.selected.size === 0;
    this.onlyButton.textContent = `Only selected (${this.selected.size})`;
    if (this.only) {
      this.only = this.selected.size > 0;
      this.search();
    } else this.show();
  }

  show(most = ROWS_A_PAGE) {
    const page = this.place ? this.found.slice(this.first, this.first + most) : this.found;
    page.forEach(row => this.dress(row));
    this.table.tBodies[0].replaceChildren(...page.map(row => row.tr));
    this.heads.forEach((head, column) => head.hidden = this.hidden.has(column));
    if (!this.place) return;
    this.onlyButton.setAttribute('aria-pressed', this.only);
    const count = this.found.length.toLocaleString('en');
    const last = this.first + page.length;
    this.status.textContent = this.found.length > ROWS_A_PAGE
      ? `${(this.first + 1).toLocaleString('en')} to ${last.toLocaleString('en')} of ${count} rows`
      : `${count} ${this.found.length === 1 ? 'row' : 'rows'}`;
    this.back.disabled = this.first === 0;
    this.next.disabled = last >= this.found.length;
    this.back.hidden = this.next.hidden = this.found.length <= ROWS_A_PAGE;
  }

  // Gives a row its element, the button that selects its trial, and its look.
  dress(row) {
    row.tr ??= this.build(row);
    const chosen = this.selected.has(row.trial);
    row.tr.classList.toggle('selected', chosen);
    [...row.tr.cells].forEach((td, column) => td.hidden = this.hidden.has(column));
    if (row.trial === null || !this.place) return;
    const td = row.tr.querySelector('td.trial');
    if (td && !td.querySelector('button')) {
      td.firstChild.replaceWith(element('button', {type: 'button', class: 'pick',
        title: 'Select this trial in all tables and charts'}, row.trial));
    }
    td?.querySelector('button').setAttribute('aria-pressed', chosen);
  }

  build(row) {
    const tr = element('tr', {class: row.kind, 'data-phase': this.phase});
    if (row.trial !== null) tr.dataset.trial = row.trial;
    row.cells.forEach(({text, mark}, column) => {
      const td = element('td', {class: this.heads[column].className}, text);
      if (mark) td.append(' ', element('span', {class: 'mark'}, mark));
      if (td.classList.contains('run') && text) {
        for (const [name, file] of Object.entries(this.links)) {
          td.append(' ', element('a', {href: `${this.place.dataset.runs}/${text}/${file}`}, name));
        }
      }
      tr.append(td);
    });
    return tr;
  }

  columnsShown() {
    return this.titles.map((_, column) => column).filter(column => !this.hidden.has(column));
  }

  // The columns of a download: {title, of}, where `of` returns what a row has there, as a cell. One
  // of marks follows each column that has any, in whichever rows are shown.
  columnsSaved() {
    return this.columnsShown().flatMap(column => {
      const title = this.titles[column], own = {title, of: row => row.cells[column]};
      if (!this.rows.some(row => row.cells[column].mark)) return [own];
      const markOf = row => ({text: row.cells[column].mark, value: null});
      return [own, {title: `${title} mark`, of: markOf}];
    });
  }

  saveCsv() {
    const columns = this.columnsSaved();
    // A spreadsheet would compute text that begins like this.
    const safe = text => /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    const quoted = text => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    const cell = ({text, value}) => value === null ? quoted(safe(text)) : String(value);
    const lines = [columns.map(({title}) => quoted(safe(title))),
      ...this.found.map(row => columns.map(({of}) => cell(of(row))))];
    saveText(`${this.place.dataset.name}.csv`, lines.map(line => line.join(',') + '\r\n').join(''),
      'text/csv');
  }

  saveJson() {
    const columns = this.columnsSaved();
    const rows = this.found.map(row => Object.fromEntries(columns.map(({title, of}) =>
      [title, of(row).value ?? of(row).text])));
    saveText(`${this.place.dataset.name}.json`, JSON.stringify(rows, null, 1), 'application/json');
  }
}

const sortedTables = [...document.querySelectorAll('table')].map(table => new SortedTable(table));
addEventListener('beforeprint', () => sortedTables.forEach(table => table.show(MOST_PRINTED)));
addEventListener('afterprint', () => sortedTables.forEach(table => table.show()));
