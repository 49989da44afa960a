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
def text(self) { def out = new StringBuilder(); for (x in self) { if (x instanceof Node) out.append(x.text()) }; out.toString() }
