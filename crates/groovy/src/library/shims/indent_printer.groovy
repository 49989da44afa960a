class IndentPrinter {
    private def $out
    private String $step
    private boolean $lines
    private int indentLevel = 0
    IndentPrinter(out = System.out, String step = '  ', boolean lines = true, boolean autoIndent = false) { $out = out; $step = step; $lines = lines }
    void print(text) { if ($out instanceof Writer) $out << text else $out.print(text) }
    void println(text) { print(text); println() }
    void println() { if ($lines) print('\n') }
    void printIndent() { print($step * indentLevel) }
    void incrementIndent() { indentLevel++ }
    void decrementIndent() { indentLevel-- }
    int getIndentLevel() { indentLevel }
    void setIndentLevel(int level) { indentLevel = level }
    void flush() { }
}
