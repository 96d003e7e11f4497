// How a frame is looked at: which boxes tell their number, hiding them all, zooming in. Decides nothing.
//
//   const look = looking(svg)
//   look.bare = true; look.to(index); look.at(x, y, times); look.whole(); look.zoomed
//
// A label is a convenience, the face under it is what the page is for: in a crowd, and beside a box that is small on
// the screen, only the box that is selected or pointed at has one. Places are in px of the saved frame.

const MANY = 6;        // boxes: with more, their labels run into each other
const SMALL_PX = 28;   // shorter side on the screen: a label would be larger than the face
const PART = 0.2;      // of the view that a box fills when it is zoomed to
const LEAST = 2, MOST = 8;

const within = (low, value, high) => Math.min(Math.max(value, low), high);

export function looking(svg) {
  const stage = svg.parentElement;
  const { width, height } = svg.viewBox.baseVal;
  const boxes = [...svg.querySelectorAll(".box")];
  const sides = boxes.map((box) => {
    const rect = box.querySelector("rect");
    return ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
  });
  let zoomed = null;  // [x, y, times]

  svg.classList.toggle("crowded", boxes.length > MANY);
  new ResizeObserver(() => {
    const scale = svg.getBoundingClientRect().width / width;
    sides.forEach(([, , w, h], n) => boxes[n].classList.toggle("small", Math.min(w, h) * scale < SMALL_PX));
  }).observe(svg);

  // Around a place, but never past the edge of the frame.
  function at(x, y, times = LEAST) {
    zoomed = [x, y, times];
    stage.classList.add("zoomed");
    stage.style.setProperty("--zoom", times);
    stage.style.setProperty("--left", within(0, (x / width) * times - 0.5, times - 1));
    stage.style.setProperty("--top", within(0, (y / height) * times - 0.5, times - 1));
  }

  function to(index) {
    if (index === null) return at(width / 2, height / 2);
    const [x, y, w, h] = sides[index];
    at(x + w / 2, y + h / 2, within(LEAST, PART / Math.max(w / width, h / height), MOST));
  }

  // Where the pointer is.
  function under(event) {
    const shown = svg.getBoundingClientRect();
    at(((event.clientX - shown.left) / shown.width) * width, ((event.clientY - shown.top) / shown.height) * height);
  }

  function whole() {
    zoomed = null;
    stage.classList.remove("zoomed");
  }

  return {
    at, to, under, whole,
    point: (index) => boxes.forEach((box, n) => box.classList.toggle("pointed", n === index)),
    get zoomed() { return zoomed; },
    get bare() { return svg.classList.contains("bare"); },
    set bare(on) { svg.classList.toggle("bare", on); },
  };
}
