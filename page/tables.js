// Lists and tables that follow a report: only what has changed is touched, and every word goes in as text, never as markup.

/**
 * A cell's content: its text, a second line below it, and how far something has come.
 * @typedef {{ text: string, note?: string, progress?: number | null, state?: string }} Cell
 */

/**
 * A column; the first of a table names the row.
 * @template Item
 * @typedef {{ label: string, cell: (item: Item) => Cell | string, number?: boolean }} Column
 */

/**
 * Makes the table with this id show these items.
 * @template Item
 * @param {string} id
 * @param {readonly Item[]} items
 * @param {readonly Column<Item>[]} columns
 * @param {(item: Item) => string} keyOf
 */
export function fill(id, items, columns, keyOf) {
  const table = /** @type {HTMLTableElement} */ (document.getElementById(id));
  if (table.tHead === null) {
    // The roles stay where a narrow screen shows the cells below one another; a browser would drop them there.
    const head = table.createTHead();
    head.setAttribute("role", "rowgroup");
    const row = head.insertRow();
    row.setAttribute("role", "row");
    for (const { label } of columns) {
      const heading = document.createElement("th");
      heading.scope = "col";
      heading.setAttribute("role", "columnheader");
      row.append(write(heading, label));
    }
    table.createTBody().setAttribute("role", "rowgroup");
  }
  const body = /** @type {HTMLTableSectionElement} */ (table.tBodies[0]);
  keep(
    body,
    items,
    keyOf,
    () => newRow(columns),
    (row, item) =>
      columns.forEach(({ cell }, index) =>
        writeCell(/** @type {HTMLElement} */ (row.children[index]), cell(item)),
      ),
  );
}

/**
 * @template Item
 * @param {readonly Column<Item>[]} columns
 */
function newRow(columns) {
  const row = document.createElement("tr");
  row.setAttribute("role", "row");
  for (const [index, { label, number }] of columns.entries()) {
    const cell = document.createElement(index === 0 ? "th" : "td");
    if (index === 0) cell.setAttribute("scope", "row");
    cell.setAttribute("role", index === 0 ? "rowheader" : "cell");
    cell.dataset["label"] = label;
    if (number === true) cell.className = "number";
    row.append(cell);
  }
  return row;
}

/**
 * Keeps one child for each item, in their order: what stays is not made anew, so that a selection and the place of a screen
 * reader stay too.
 * @template Item
 * @param {HTMLElement} parent
 * @param {readonly Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {() => HTMLElement} make
 * @param {(child: HTMLElement, item: Item) => void} update
 */
export function keep(parent, items, keyOf, make, update) {
  const children = /** @type {HTMLElement[]} */ ([...parent.children]);
  const old = new Map(children.map((child) => [child.dataset["key"], child]));
  for (const [index, item] of items.entries()) {
    const key = keyOf(item);
    const child = old.get(key) ?? make();
    old.delete(key);
    child.dataset["key"] = key;
    update(child, item);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  }
  for (const child of old.values()) child.remove();
}

/**
 * @param {HTMLElement} cell
 * @param {Cell | string} content
 */
function writeCell(cell, content) {
  const { text, note = "", progress, state } = typeof content === "string" ? { text: content } : content;
  if (cell.firstChild === null) cell.append(document.createElement("span"), document.createElement("small"));
  const [words, small] = /** @type {[HTMLElement, HTMLElement]} */ ([...cell.children]);
  write(words, text);
  write(small, note);
  if (state !== undefined) {
    cell.classList.add("state");
    cell.dataset["state"] = state;
  }
  if (progress === undefined) return;
  const bar = cell.querySelector("progress") ?? cell.appendChild(document.createElement("progress"));
  bar.hidden = progress === null;
  bar.value = progress ?? 0;
  bar.setAttribute("aria-label", text);
}

/**
 * Writes only what has changed: a live region would be read out again.
 * @template {HTMLElement} Target
 * @param {Target} target
 * @param {string} text
 */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
  return target;
}
