// The last page of a sample is there, styles and all: the server may stop.
addEventListener("load", () => fetch("/finished", { method: "POST", body: "{}" }).catch(() => {}));
