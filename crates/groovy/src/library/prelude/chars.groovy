def eachLine(self, f) {
    def last = null
    int i = 0
    for (line in self.readLines()) { last = f.maximumNumberOfParameters == 2 ? f(line, i) : f(line); i++ }
    last
}
def eachLine(self, first, f) { def last = null; int i = first; for (line in self.readLines()) { last = f(line, i); i++ }; last }
def find(self, p, f) { def all = self.$matches(p); if (!all) return null; f(all[0][2]) }
def findAll(self, p, f) { self.$matches(p).collect { m -> f(m[2]) } }
def eachMatch(self, p, f) { for (m in self.$matches(p)) f(m[2]); self }
def replaceAll(self, p, f) {
    def out = new StringBuilder()
    int at = 0
    boolean whole = f.$takesArray()
    for (m in self.$matches(p)) { out.append(self.$bytes(at, m[0])); out.append("${f(whole ? m[2] as Object[] : m[2])}"); at = m[1] }
    out.append(self.$bytes(at, 2147483647))
    out.toString()
}
def replaceFirst(self, p, f) {
    def all = self.$matches(p)
    if (!all) return self.toString()
    def m = all[0]
    self.$bytes(0, m[0]) + "${f(f.$takesArray() ? m[2] as Object[] : m[2])}" + self.$bytes(m[1], 2147483647)
}
def takeWhile(self, f) { def out = new StringBuilder(); for (c in self.toString()) { if (!f(c)) break; out.append(c) }; out.toString() }
def dropWhile(self, f) { def out = new StringBuilder(); boolean on = false; for (c in self.toString()) { if (on || !f(c)) { on = true; out.append(c) } }; out.toString() }
def splitEachLine(self, p, f) { def last = null; for (line in self.readLines()) last = f(line.split(p).toList()); last }
