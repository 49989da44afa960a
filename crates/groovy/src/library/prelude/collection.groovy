def each(self, f) { for (x in self) f(x); self }
def eachWithIndex(self, f) { int i = 0; for (x in self) { f(x, i); i++ }; self }
def eachByte(self, f) { if (!(self instanceof byte[])) self.$lacksMethod('eachByte', [f]); for (x in self) f(x); null }
def reverseEach(self, f) { for (x in self.toList().reverse()) f(x); self }
def collect(self, f) { def out = []; for (x in self) out.add(f(x)); out }
def collect(self, into, f) { for (x in self) into.add(f(x)); into }
def collect(self) { self.toList() }
def collectMany(self, f) { def out = []; for (x in self) out.addAll(f(x)); out }
def collectMany(self, into, f) { for (x in self) into.addAll(f(x)); into }
def collectNested(self, f) { def out = []; for (x in self) out.add(x instanceof Collection ? x.collectNested(f) : f(x)); out }
def collectNested(self, into, f) { for (x in self) into.add(x instanceof Collection ? x.collectNested(f) : f(x)); into }
def collectEntries(self) { def out = [:]; for (x in self) out.$pair(x); out }
def collectEntries(self, f) {
    if (f instanceof Map) { for (x in self) f.$pair(x); return f }
    def out = [:]; for (x in self) out.$pair(f(x)); out
}
def collectEntries(self, into, f) { for (x in self) into.$pair(f(x)); into }
def find(self, f) { for (x in self) { if (f(x)) return x }; null }
def find(self) { for (x in self) { if (x) return x }; null }
def findAll(self, f) { def out = []; for (x in self) { if (f(x)) out.add(x) }; self instanceof Set ? out as LinkedHashSet : out }
def findAll(self) { def out = []; for (x in self) { if (x) out.add(x) }; self instanceof Set ? out as LinkedHashSet : out }
def findResults(self, f) { def out = []; for (x in self) { def r = f(x); if (r != null) out.add(r) }; out }
def any(self, f) { for (x in self) { if (f(x)) return true }; false }
def any(self) { for (x in self) { if (x) return true }; false }
def every(self, f) { for (x in self) { if (!f(x)) return false }; true }
def every(self) { for (x in self) { if (!x) return false }; true }
def count(self, f) { int n = 0; for (x in self) { if (f(x)) n++ }; n }
def countBy(self, f) { def out = [:]; for (x in self) { def k = f(x); out.put(k, (out.get(k) ?: 0) + 1) }; out }
def groupBy(self, f) {
    if (f instanceof List) return self.$groupBy(f, 0)
    def out = [:]
    for (x in self) { def k = f(x); if (!out.containsKey(k)) out.put(k, []); out.get(k).add(x) }
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
def inject(self, f) {
    def it = self.iterator()
    if (!it.hasNext()) throw new NoSuchElementException('Cannot call inject() on an empty collection without passing an initial value.')
    def acc = it.next()
    for (x in it) acc = f(acc, x)
    acc
}
def inject(self, start, f) { def acc = start; for (x in self) acc = f(acc, x); acc }
def sum(self, f) { def acc = null; boolean first = true; for (x in self) { def v = f(x); acc = first ? v : self.$added(acc, v); first = false }; acc }
def sum(self, start, f) { def acc = start; for (x in self) acc = self.$added(acc, f(x)); acc }
def $added(self, acc, x) { if (acc == null) throw new NullPointerException(); acc + x }
def max(self, f) { self.$best(f, 1) }
def min(self, f) { self.$best(f, -1) }
def $best(self, by, sign) {
    def f = by.$comparing()
    def it = self.iterator()
    if (!it.hasNext()) return null
    def best = it.next()
    if (f.maximumNumberOfParameters != 1) {
        for (x in it) { if (f(x, best) * sign > 0) best = x }
        return best
    }
    def score = f(best)
    for (x in it) { def s = f(x); if ((sign > 0 ? score <=> s : s <=> score) < 0) { best = x; score = s } }
    best
}
def sort(self, f) { f == null ? self.sort() : !(f instanceof Boolean || f instanceof Closure) && self instanceof List ? self.$sortBy(f) : f instanceof Boolean ? self.sort(f, { a, b -> a.$order(b) }) : self instanceof List ? self.sort(true, f) : self.toList().sort(true, f) }
def $sortBy(self, by) { self.sort(true, by.$comparing()); null }
def toSorted(self, f) { self.sort(false, f) }
def sort(self) { self.sort(true) }
def toSorted(self) { self.sort(false) }
def sort(self, change, by) {
    def f = by.$comparing()
    def items = self.toList()
    items = f.maximumNumberOfParameters == 1 ? items.$mergeSort { a, b -> f(a).$order(f(b)) } : items.$mergeSort(f)
    if (change && self instanceof List) { self.$assign(items); return self }
    items
}
def $assign(self, items) { int i = 0; for (x in items) { self[i] = x; i++ }; self }
def $mergeSort(self, f) {
    def from = self.toList()
    int n = from.size()
    if (n < 32) return from.$insertionSort(f)
    def to = from.toList()
    for (int width = 1; width < n; width = width * 2) {
        for (int low = 0; low < n; low = low + 2 * width) {
            int mid = Math.min(low + width, n)
            int high = Math.min(low + 2 * width, n)
            int a = low
            int b = mid
            for (int k = low; k < high; k++) {
                if (a < mid && (b >= high || f(from[b], from[a]) >= 0)) { to[k] = from[a]; a++ } else { to[k] = from[b]; b++ }
            }
        }
        def swap = from
        from = to
        to = swap
    }
    from
}
def $insertionSort(self, f) {
    int n = self.size()
    if (n < 2) return self
    int sorted = 2
    if (f(self[1], self[0]) < 0) {
        while (sorted < n && f(self[sorted], self[sorted - 1]) < 0) sorted++
        int last = sorted - 1
        for (int i = 0; i < last; i++) { self.swap(i, last); last-- }
    } else {
        while (sorted < n && f(self[sorted], self[sorted - 1]) >= 0) sorted++
    }
    for (; sorted < n; sorted++) {
        def x = self.remove(sorted)
        int low = 0
        int high = sorted
        while (low < high) {
            int mid = (low + high) >>> 1
            if (f(x, self[mid]) < 0) high = mid else low = mid + 1
        }
        self.add(low, x)
    }
    self
}
def unique(self, f) { self instanceof Collection ? self.unique(true, f) : self.unique(false, f) }
def toUnique(self, f) { def out = self.unique(false, f); self instanceof Set ? out as LinkedHashSet : out }
def unique(self, change, by) {
    def f = by.$comparing()
    def out = []
    if (self.size() < 2) out.addAll(self)
    else if (f.maximumNumberOfParameters == 1) {
        def seen = []
        for (x in self) { def k = f(x); if (!seen.contains(k)) { seen.add(k); out.add(x) } }
    } else {
        for (x in self) { boolean found = false; for (y in out) { if (f(y, x) == 0) { found = true; break } }; if (!found) out.add(x) }
    }
    if (change && self instanceof Collection) { self.clear(); self.addAll(out); return self }
    out
}
def split(self, f) {
    def yes = self instanceof Set ? [] as LinkedHashSet : []
    def no = self instanceof Set ? [] as LinkedHashSet : []
    for (x in self) { if (f(x)) yes.add(x) else no.add(x) }
    [yes, no]
}
def takeWhile(self, f) { def out = []; for (x in self) { if (!f(x)) break; out.add(x) }; out }
def dropWhile(self, f) { def out = []; boolean on = false; for (x in self) { if (on || !f(x)) { on = true; out.add(x) } }; out }
def removeIf(self, f) { self.removeAll(f) }
def removeAll(self, f) { self.$keep(f, false) }
def retainAll(self, f) { self.$keep(f, true) }
def $keep(self, f, wanted) {
    def gone = []
    def stays = []
    for (x in self) { boolean stay = (f(x) as boolean) == wanted; stays.add(stay); if (!stay) gone.add(x) }
    if (gone.isEmpty()) return false
    if (self instanceof Set) { for (x in gone) self.remove(x) } else if (self instanceof Range) { self.clear() } else { self.$retain(stays) }
    true
}
def $memoKey(self) { self.collect { x -> x instanceof Set || x instanceof Map || x instanceof List && !(x instanceof Range) ? x.clone() : x } }
def $removeEach(self, items) {
    if (!(self instanceof Set && self.size() > items.size())) return self.$keep({ x -> items.contains(x) }, false)
    boolean changed = false
    for (x in items) { if (self.remove(x)) changed = true }
    changed
}
def $retainEach(self, items) { self.$keep({ x -> items.contains(x) }, true) }
def $containsEach(self, items) { for (x in items) { if (!self.contains(x)) return false }; true }
def $without(self, other) { def out = self.clone(); if (other instanceof Collection) out.removeAll(other) else out.remove(other); out }
def forEach(self, f) { for (x in self) f(x); null }
def replaceAll(self, f) { for (int i = 0; i < self.size(); i++) self[i] = f(self[i]); null }
def eachPermutation(self, f) { for (x in self.permutations()) f(x); self.iterator() }
def permutations(self, f) { self.permutations().toList().collect(f) }
def combinations(self, f) { self.combinations().collect(f) }
def eachCombination(self, f) { for (x in self.combinations()) f(x); null }
def flatten(self, f) {
    def out = self.flatten().collectMany { x -> def r = f(x); r instanceof Collection ? r : [r] }
    self instanceof Set ? out as LinkedHashSet : out
}
def join(self, between, f) { self.collect(f).join(between) }
def step(self, n, f) { for (x in self.step(n)) f(x); null }
def map(self, f) { self.collect(f) }
def filter(self, f) { self.findAll(f) }
def anyMatch(self, f) { self.any(f) }
def allMatch(self, f) { self.every(f) }
def noneMatch(self, f) { !self.any(f) }
def reduce(self, start, f) { self.inject(start, f) }
def $spread(self, name) { def out = []; for (x in self) { if (x != null) out.add(x."$name") }; out }
def stream(self) { new java.util.stream.Stream(self) }
def parallelStream(self) { new java.util.stream.Stream(self) }
def listIterator(self) { new java.util.ListIterator(self, 0) }
def listIterator(self, at) { new java.util.ListIterator(self, at) }
def withDefault(self, f) { self.$withDefault(f, false) }
def withLazyDefault(self, f) { self.$withDefault(f, false) }
def withEagerDefault(self, f) { self.$withDefault(f, true) }
def $defaulted(self, n) {
    def (f, eager) = self.$default()
    for (int i = self.size(); i < n; i++) self.add(eager ? f(i) : null)
    def made = f(n)
    if (n < self.size()) self[n] = made else self.add(made)
    made
}
def getIndices(self) { 0..<self.size() }
def $addEach(self, items) { boolean changed = false; for (x in items) { if (self.add(x)) changed = true }; changed }
def $plusEach(self, other) { def out = self.clone(); if (other instanceof Collection) out.$addEach(other) else out.add(other); out }
def $toHash(self) { def out = new HashSet(Math.max(16, self.size() + self.size().intdiv(3) + 1)); out.$addEach(self); out }
def $toLinked(self) { def out = new LinkedHashSet(); out.$addEach(self); out }
def $toTree(self) { def out = new TreeSet(); out.$addEach(self); out }
