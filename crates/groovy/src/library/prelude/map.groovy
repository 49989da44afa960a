def each(self, f) { for (e in self) f.$entry(e); self }
def forEach(self, f) { for (e in self) f(e.key, e.value); null }
def eachWithIndex(self, f) { int i = 0; for (e in self) { f.$entryIndex(e, i); i++ }; self }
def reverseEach(self, f) { for (e in self.entrySet().toList().reverse()) f.$entry(e); self }
def collect(self, f) { def out = []; for (e in self) out.add(f.$entry(e)); out }
def collect(self, into, f) { for (e in self) into.add(f.$entry(e)); into }
def collectMany(self, f) { def out = []; for (e in self) out.addAll(f.$entry(e)); out }
def collectMany(self, into, f) { for (e in self) into.addAll(f.$entry(e)); into }
def collectEntries(self, f) { def out = self.$similar(); for (e in self) out.$pair(f.$entry(e)); out }
def collectEntries(self, into, f) { for (e in self) into.$pair(f.$entry(e)); into }
def $pair(self, x) {
    if (x instanceof Map) { self.putAll(x) }
    else if (x instanceof Map.Entry) { self.put(x.key, x.value) }
    else { self.put(x[0], x[1]) }
    self
}
def find(self, f) { for (e in self) { if (f.$entry(e)) return e }; null }
def findAll(self, f) { def out = self.$similar(); for (e in self) { if (f.$entry(e)) out.put(e.key, e.value) }; out }
def findResult(self, f) { for (e in self) { def r = f.$entry(e); if (r != null) return r }; null }
def findResult(self, other, f) { for (e in self) { def r = f.$entry(e); if (r != null) return r }; other }
def findResults(self, f) { def out = []; for (e in self) { def r = f.$entry(e); if (r != null) out.add(r) }; out }
def any(self, f) { for (e in self) { if (f.$entry(e)) return true }; false }
def any(self) { for (e in self) { if (e) return true }; false }
def every(self, f) { for (e in self) { if (!f.$entry(e)) return false }; true }
def count(self, f) { int n = 0; for (e in self) { if (f.$entry(e)) n++ }; n }
def countBy(self, f) { def out = [:]; for (e in self) { def k = f.$entry(e); out.put(k, (out.get(k) ?: 0) + 1) }; out }
def groupBy(self, f) {
    if (f instanceof List) return self.$groupBy(f, 0)
    def out = [:]
    for (e in self) { def k = f.$entry(e); if (!out.containsKey(k)) out.put(k, [:]); out.get(k).put(e.key, e.value) }
    out
}
def groupBy(self, f, g) { self.$groupBy([f, g], 0) }
def groupBy(self, f, g, h) { self.$groupBy([f, g, h], 0) }
def $groupBy(self, fs, at) {
    def out = self.groupBy(fs[at])
    if (at + 1 >= fs.size()) return out
    def deep = [:]
    for (e in out) deep.put(e.key, e.value.$groupBy(fs, at + 1))
    deep
}
def groupEntriesBy(self, f) { def out = [:]; for (e in self) { def k = f.$entry(e); if (!out.containsKey(k)) out.put(k, []); out.get(k).add(e) }; out }
def inject(self, start, f) { def acc = start; for (e in self) acc = f.$entryInto(acc, e); acc }
def max(self, f) { self.entrySet().toList().max(f) }
def min(self, f) { self.entrySet().toList().min(f) }
def sort(self, f) {
    def out = [:]
    if (!(f instanceof Closure)) { for (k in self.keySet().sort(false, f)) out.put(k, self.get(k)); return out }
    for (e in self.entrySet().toList().sort(false, f)) out.put(e.key, e.value)
    out
}
def toSorted(self, f) { self.sort(f) }
def toSorted(self) { self.sort { a, b -> a.value <=> b.value } }
def takeWhile(self, f) { def out = self.$similar(); for (e in self) { if (!f.$entry(e)) break; out.put(e.key, e.value) }; out }
def dropWhile(self, f) { def out = self.$similar(); boolean on = false; for (e in self) { if (on || !f.$entry(e)) { on = true; out.put(e.key, e.value) } }; out }
def withDefault(self, f) { self.$withDefault(f) }
def $defaulted(self, key) { def made = self.$default()(key); self.put(key, made); made }
def removeAll(self, f) { boolean changed = false; for (e in self.entrySet().toList()) { if (f.$entry(e)) { self.remove(e.key); changed = true } }; changed }
def retainAll(self, f) { boolean changed = false; for (e in self.entrySet().toList()) { if (!f.$entry(e)) { self.remove(e.key); changed = true } }; changed }
def computeIfAbsent(self, key, f) { def v = self.get(key); if (v == null) { v = f(key); if (v != null) self.put(key, v) }; v }
def computeIfPresent(self, key, f) { self.get(key) == null ? null : self.$computed(key, f(key, self.get(key))) }
def compute(self, key, f) { self.$computed(key, f(key, self.get(key))) }
def merge(self, key, value, f) { self.$computed(key, self.get(key) == null ? value : f(self.get(key), value)) }
def $computed(self, key, made) { if (made == null) self.remove(key) else self.put(key, made); made }
def replaceAll(self, f) { for (k in self.keySet()) self.put(k, f(k, self.get(k))); null }
def $putEach(self, other) { for (e in other.entrySet()) self.put(e.key, e.value); null }
def $plusEach(self, other) { def out = self.$copied(); out.$putEach(other); out }
def $minusEach(self, other) {
    def out = self.$copied()
    for (e in other.entrySet()) { if (out.containsKey(e.key) && out.get(e.key) == e.value) out.remove(e.key) }
    out
}
def toSpreadMap(self) { new HashMap(self) }
def $subMap(self, keys) { def out = [:]; for (k in keys) { if (self.containsKey(k)) out.put(k, self.get(k)) }; out }
def $toTree(self) { def out = new TreeMap(); out.$putEach(self); out }
