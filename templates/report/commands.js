// Commands in reasons: a monospace font and a button that copies them.

// Reasons may quote a host, so only commands of this form have a button: a dockmesh command, options, and host names.
const VALUE = String.raw`(?:'[\w.,:*@[\]!-]+'|[\w@](?:[\w.,:@-]*\w)?)`;
const OPTION = String.raw` --limit ${VALUE}| --(?!limit)[a-z-]+`;
const CHANGE = `(?:apply|plan|status|confirm|init|forecast|diff)(?:${OPTION})*`;
// A command that continues in another form is not offered in part.
const END = String.raw`(?![\w;&|$('-]|[.,:/]['\w]| [-$('])`;
const COMMAND = new RegExp(String.raw`\bdockmesh (?:${CHANGE}|(?:trace|explain) ${VALUE} ${VALUE})${END}`, "g");
// Commands that the details already offer. A pair often has the same reason for every probe.
const offered = new Set();

function commandsIn(text) {
  return [...new Set(text.match(COMMAND) ?? [])];
}

function writeReason(parent, text) {
  let from = 0;
  for (const { 0: command, index } of text.matchAll(COMMAND)) {
    parent.append("span").text(text.slice(from, index));
    parent.append("code").text(command);
    from = index + command.length;
  }
  parent.append("span").text(text.slice(from));
}

function addCopyButton(parent, command) {
  parent
    .append("button")
    .attr("type", "button")
    .attr("class", "copy")
    .attr("data-command", command)
    .attr("aria-label", `Copy ${command}`)
    .text("Copy command")
    .on("click", async (event) => {
      const button = event.currentTarget;
      button.textContent = (await copyText(command)) ? "Copied" : "Copy failed: select the command";
      setTimeout(() => (button.textContent = "Copy command"), 2000);
    });
}

// Browsers may offer no clipboard, or refuse it, to a page from a file.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "offscreen";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return copied;
}

d3.selectAll("[data-cause]").each(function showCommands() {
  const reason = d3.select(this).select(".reason");
  // A template of the user's own may lack the element.
  if (reason.empty()) return;
  const text = reason.text();
  reason.text("");
  writeReason(reason, text);
  commandsIn(text).forEach((command) => addCopyButton(d3.select(this.parentNode), command));
});
