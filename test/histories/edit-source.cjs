// A webpack loader: the source with edits. An edit whose text isn't there is an error: it would be planted in vain.
module.exports = function editSource(source) {
  return this.getOptions().edits.reduce((text, [from, to]) => {
    if (text.split(from).length !== 2) throw new Error(`${this.resourcePath} must hold this once: ${from}`);
    return text.replace(from, () => to);
  }, source);
};
