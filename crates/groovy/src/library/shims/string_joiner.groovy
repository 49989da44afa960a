class StringJoiner {
    private def between, before, after, none
    private List parts = []
    StringJoiner(between, before = '', after = '') { this.between = between; this.before = before; this.after = after }
    def add(part) { parts.add(String.valueOf(part)); this }
    def setEmptyValue(text) { none = text; this }
    int length() { toString().length() }
    String toString() { parts.isEmpty() && none != null ? none : "${before}${parts.join(between)}${after}".toString() }
}
