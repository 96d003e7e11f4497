// What the list of a frame's boxes comes to: which ones would lose their blur, and the number that somebody types.

const NAMED = 12;       // boxes in one sentence
const QUICK_MS = 900;   // between two digits of one number

// `list` are the buttons of the list; `boxes` their indices.
export function wouldLose(list) {
  const boxes = list.flatMap((one, n) => (/blurred|added|drawn/.test(one.className) ? [n] : []));
  const named = boxes.slice(0, NAMED).map((n) => `${n + 1} (${list[n].querySelector("b")?.textContent ?? "drawn"})`);
  const more = boxes.length > NAMED ? ` and ${boxes.length - NAMED} more` : "";
  const one = boxes.length === 1;
  return {
    boxes,
    sentence: `${one ? "Box" : "Boxes"} ${named.join(", ")}${more} would lose ${one ? "its" : "their"} blur. Press r, or ` +
      `Reject, once more to reject ${one ? "it" : `all ${boxes.length}`}; select a box to reject only that one.`,
    button: one ? "Reject it?" : `Reject all ${boxes.length}?`,
  };
}

// Digits that follow each other quickly are one number, where there is a box of it: 1, 2 is 12, but with 9 boxes 2.
export function digits() {
  let typed = "", last = 0;
  return {
    add(key, most, now) {
      const both = (now - last < QUICK_MS ? typed : "") + key;
      typed = Number(both) <= most ? both : key;
      last = now;
      return Number(typed);
    },
    clear() { typed = ""; },
  };
}
