class Node {
    private String name
    private String prefix
    private String uri
    private Map attributes
    private List children
    private def replacement
    String name() { name }
    String namespaceURI() { uri }
    String $prefix() { prefix }
    Map attributes() { attributes }
    List children() { children }
    String text() { def out = new StringBuilder(); $text(out); out.toString() }
    void $text(out) { for (x in children) { if (x instanceof groovy.util.slurpersupport.Node) x.$text(out) else if (!(x instanceof Closure)) out.append(x) } }
    List localText() { def out = []; for (x in children) { if (!(x instanceof groovy.util.slurpersupport.Node)) out.add(x) }; out }
    List $inner() { def out = []; for (x in children) { if (x instanceof groovy.util.slurpersupport.Node) out.add(x) }; out }
    def childNodes() { $inner().iterator() }
    void $body(value) { children = [value instanceof Closure ? value : value.toString()] }
    void $replace(Closure what, on) { replacement = [what, on, replacement] }
    def $replacement() { replacement }
    void $restore(before) { replacement = before }
}
