def $comparing(self) { self }
def memoize(self) {
    def known = [:]
    return { Object... args -> def key = args == null ? [null] : args.toList(); if (!known.containsKey(key)) known.put(key, self(*key)); known.get(key) }
}
def memoizeAtMost(self, most) {
    if (most < 0) throw new IllegalArgumentException('A non-negative number is required as the maxCacheSize parameter for memoizeAtMost.')
    def known = [:]
    return { Object... args ->
        def key = args == null ? [null] : args.toList()
        def value = known.containsKey(key) ? known.remove(key) : self(*key)
        known.put(key, value)
        if (known.size() > most) known.remove(known.keySet().iterator().next())
        value
    }
}
def memoizeAtLeast(self, n) { self.memoize() }
def memoizeBetween(self, least, most) {
    if (least < 0) throw new IllegalArgumentException('A non-negative number is required as the protectedCacheSize parameter for memoizeBetween.')
    if (most < 0) throw new IllegalArgumentException('A non-negative number is required as the maxCacheSize parameter for memoizeBetween.')
    if (least > most) throw new IllegalArgumentException('The maxCacheSize parameter to memoizeBetween is required to be greater or equal to the protectedCacheSize parameter.')
    self.memoizeAtMost(most)
}
def trampoline(self) { self.$step() ? self : self.$trampolined([]) }
def trampoline(self, a) { self.$trampolined([a]) }
def trampoline(self, a, b) { self.$trampolined([a, b]) }
def trampoline(self, a, b, c) { self.$trampolined([a, b, c]) }
def trampoline(self, a, b, c, d) { self.$trampolined([a, b, c, d]) }
def $step(self) { self.delegate instanceof Map && self.delegate.containsKey('$step') ? self.delegate.get('$step') : null }
def $trampolined(self, args) {
    def step = self.$step() ?: self
    if (args) step = step.curry(*args)
    def out = { Object... rest ->
        def r = step(*rest)
        while (r instanceof Closure && r.$step()) r = r.$step()()
        r
    }
    out.delegate = ['$step': step]
    out
}
def run(self) { self(); null }
def accept(self, x) { self(x); null }
def apply(self, x) { self(x) }
def test(self, x) { self(x) as boolean }
def compare(self, a, b) { self(a, b) }
def get(self) { self() }
def leftShift(self, x) { self(x) }
def $written(self) { def to = new StringWriter(); self(to); to.toString() }
def $takesArray(self) { def types = self.parameterTypes; types.size() == 1 && types[0].isArray() }
