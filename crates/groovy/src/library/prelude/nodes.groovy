def $spread(self, name) { self.getAt(name) }
def $attribute(self, name) { self.getAt('@' + name) }
def getAt(self, name) {
    def out = new NodeList()
    for (x in self) {
        if (!(x instanceof Node)) continue
        def found = x.getAt(name)
        if (found instanceof Collection) out.addAll(found) else out.add(found)
    }
    out
}
def plus(self, content) { for (x in self) x.plus(content); null }
def clone(self) { def out = new NodeList(); for (x in self) out.add(x instanceof Node ? x.clone() : x); out }
def replaceNode(self, content) {
    if (self.size() != 1) throw new GroovyRuntimeException("replaceNode() can only be used to replace a single node, but was applied to ${self.size()} nodes".toString())
    self[0].replaceNode(content)
}
def text(self) { def out = new StringBuilder(); for (x in self) { if (x instanceof Node) out.append(x.text()) }; out.toString() }
