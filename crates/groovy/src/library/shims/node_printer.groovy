class NodePrinter {
    private def $out
    NodePrinter(out = System.out) { $out = out instanceof IndentPrinter ? out : new IndentPrinter(out) }
    void print(Node node) {
        def value = node.value()
        def attributes = node.attributes().collect { k, v -> k + ':' + (v instanceof CharSequence ? "'$v'" : v) }
        $out.printIndent()
        $out.print(node.name().toString() + (attributes || !(value instanceof CharSequence) ? "(${attributes.join(', ')})" : ''))
        if (value instanceof CharSequence) $out.print("('$value')".toString())
        if (!(value instanceof List) || value.isEmpty()) { $out.println(); return }
        $out.println(' {')
        $out.incrementIndent()
        for (x in value) {
            if (x instanceof Node) { print(x); continue }
            $out.printIndent()
            $out.println(String.valueOf(x))
        }
        $out.decrementIndent()
        $out.printIndent()
        $out.println('}')
    }
}
