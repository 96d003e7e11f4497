// Draws one rectangle over a frame: by mouse or finger, or by keyboard. Knows nothing of what it is drawn for.
//
//   const pen = drawing(svg, { keep(box), leave(), say(text) })
//   pen.begin(); pen.leave(); pen.active; pen.key(event)
//
// The viewBox of `svg` is the saved frame in px, and so is a box: [x0, y0, x1, y1], inside the frame, x1 and y1
// exclusive. `keep` is called with a finished box; drawing is over then. `pen.key` takes a keydown event and tells
// whether it was one of its keys: arrows move, Shift and arrows resize, Enter keeps, Escape leaves.

const SVG = "http://www.w3.org/2000/svg";
const LEAST_PX = 3;  // of the saved frame: anything smaller was a click

export function drawing(svg, { keep, leave = () => {}, say = () => {} }) {
  const { width, height } = svg.viewBox.baseVal;
  const step = Math.max(1, Math.round(width / 200));
  let shape = null;   // the rectangle in the page
  let box = null;     // [x0, y0, x1, y1]
  let corner = null;  // where a drag began

  function show() {
    const [x0, y0, x1, y1] = box;
    const sides = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
    for (const [name, value] of Object.entries(sides)) shape.setAttribute(name, value);
  }

  function begin() {
    if (shape) return;
    const [left, top, right, bottom] = seen();
    const side = Math.max(LEAST_PX, Math.round(Math.min(right - left, bottom - top) / 8));
    const x0 = Math.round((left + right - side) / 2), y0 = Math.round((top + bottom - side) / 2);
    box = [x0, y0, x0 + side, y0 + side];
    shape = svg.appendChild(document.createElementNS(SVG, "rect"));
    shape.classList.add("pen");
    svg.classList.add("drawing");
    show();
    say("Draw a box: drag over the frame, or move it with the arrows, resize it with Shift and arrows. " +
      "Enter keeps it, Escape leaves.");
  }

  function stop() {
    shape?.remove();
    shape = corner = null;
    svg.classList.remove("drawing");
  }

  function quit() {
    stop();
    say("Nothing was drawn.");
    leave();
  }

  function finish() {
    const drawn = box;
    stop();
    keep(drawn);
  }

  // What of the frame is seen, in its px: all of it, or the part that somebody zoomed to.
  function seen() {
    const { left, top, right, bottom } = svg.parentElement.getBoundingClientRect();
    return [...place({ clientX: left, clientY: top }), ...place({ clientX: right, clientY: bottom })];
  }

  // A place of the window in px of the frame, inside it.
  function place({ clientX, clientY }) {
    const shown = svg.getBoundingClientRect();
    const x = ((clientX - shown.left) / shown.width) * width;
    const y = ((clientY - shown.top) / shown.height) * height;
    return [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
  }

  svg.addEventListener("pointerdown", (event) => {
    if (!shape || event.button !== 0) return;
    event.preventDefault();
    svg.setPointerCapture(event.pointerId);
    corner = place(event);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!corner) return;
    const [x, y] = place(event);
    box = [Math.min(x, corner[0]), Math.min(y, corner[1]), Math.max(x, corner[0]), Math.max(y, corner[1])];
    show();
  });
  svg.addEventListener("pointerup", () => {
    if (!corner) return;
    corner = null;
    if (box[2] - box[0] >= LEAST_PX && box[3] - box[1] >= LEAST_PX) finish();
    else say("That box is too small: drag from one corner of the face to the other.");
  });
  svg.addEventListener("pointercancel", () => { corner = null; });

  function key(event) {
    if (!shape) return false;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key === "Enter") finish();
    else if (event.key === "Escape") quit();
    else if (!moves[event.key]) return false;
    else {
      const [dx, dy] = moves[event.key];
      box = event.shiftKey ? resized(dx, dy) : moved(dx, dy);
      show();
    }
    event.preventDefault();
    return true;
  }

  function moved(dx, dy) {
    const x = Math.min(Math.max(box[0] + dx, 0), width - (box[2] - box[0]));
    const y = Math.min(Math.max(box[1] + dy, 0), height - (box[3] - box[1]));
    return [x, y, x + box[2] - box[0], y + box[3] - box[1]];
  }

  function resized(dx, dy) {
    const x1 = Math.min(Math.max(box[2] + dx, box[0] + LEAST_PX), width);
    const y1 = Math.min(Math.max(box[3] + dy, box[1] + LEAST_PX), height);
    return [box[0], box[1], x1, y1];
  }

  return { begin, leave: quit, key, keep: () => shape && finish(), get active() { return shape !== null; } };
}

// Text over a frame keeps its size on the screen, however large the frame is shown.
export function keepTextSize(svg) {
  const { width } = svg.viewBox.baseVal;
  const follow = () => {
    const shown = svg.getBoundingClientRect();
    if (shown.width) svg.style.setProperty("--unit", width / shown.width);
  };
  follow();
  new ResizeObserver(follow).observe(svg);
}

// Shows a frame as large as there is room for.
export function fit(svg) {
  const { width, height } = svg.viewBox.baseVal;
  const stage = svg.parentElement;
  stage.style.setProperty("--shape", width / height);
  stage.style.setProperty("--most", `${2 * width}px`);
  stage.classList.add("fitted");
  keepTextSize(svg);
}
