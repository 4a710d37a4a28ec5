// Shows the questions that the form asks for, and the pictures of those that come into view.
"use strict";
const form = document.getElementById("filters");
const fields = form.elements;
const pictures = JSON.parse(document.getElementById("pictures").textContent);
const questions = [...document.querySelectorAll("article.question")].map((article) => ({
  article,
  marks: article.dataset.marks.split(" "),
  kinds: article.dataset.kinds.split(" "),
  parts: article.dataset.parts.split(" "),
  words: [...article.querySelectorAll(".text")].map((text) => text.textContent.toLowerCase()).join("\n"),
}));
const SHOWN = {
  all: () => true,
  right: (one) => one === "1",
  wrong: (one) => one === "0",
  changed: (one, other) => (one === "1" && other === "0") || (one === "0" && other === "1"),
  gained: (one, other) => one === "1" && other === "0",
  lost: (one, other) => one === "0" && other === "1",
  differ: (one, other, sameWords) => !sameWords,
};

function filter() {
  const run = Number(fields.run.value);
  const beside = Number(fields.beside?.value ?? run);
  const words = fields.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const part = fields.part?.value ?? "";
  let count = 0;
  for (const { article, marks, kinds, parts, words: text } of questions) {
    const shown =
      SHOWN[fields.show.value](marks[run], marks[beside], kinds[run] === kinds[beside]) &&
      (part === "" || parts.includes(part)) &&
      words.every((word) => text.includes(word));
    article.hidden = !shown;
    count += shown;
  }
  fields.count.value = `${count.toLocaleString("en")} of ${questions.length.toLocaleString("en")} questions`;
}

let waiting;
function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(filter, 120);
}

const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        target.src = pictures[target.dataset.picture];
        watcher.unobserve(target);
      }
    }
  },
  { rootMargin: "600px" },
);
for (const image of document.querySelectorAll("img[data-picture]")) watcher.observe(image);

form.addEventListener("input", soon);
form.addEventListener("reset", () => setTimeout(filter));
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
filter();
