def with(self, f) { def c = f.clone(); c.delegate = self; c.resolveStrategy = 1; c(self) }
def tap(self, f) { def c = f.clone(); c.delegate = self; c.resolveStrategy = 1; c(self); self }
def identity(self, f) { def c = f.clone(); c.delegate = self; c.resolveStrategy = 1; c(self) }
def each(self, f) { for (x in self) f(x); self }
def eachWithIndex(self, f) { int i = 0; for (x in self) { f(x, i); i++ }; self }
def collect(self, f) { def out = []; for (x in self) out.add(f(x)); out }
def find(self, f) { for (x in self) { if (f(x)) return x }; null }
def findAll(self, f) { def out = []; for (x in self) { if (f(x)) out.add(x) }; out }
def any(self, f) { for (x in self) { if (f(x)) return true }; false }
def every(self, f) { for (x in self) { if (!f(x)) return false }; true }
def inject(self, start, f) { def acc = start; for (x in self) acc = f(acc, x); acc }
def invokeMethod(self, name, args) { args == null ? self."$name"() : args instanceof List || args instanceof Object[] ? self."$name"(*args) : self."$name"(args) }
def setProperty(self, name, value) { self."$name" = value; null }
def $setAll(self, map) { for (e in map) self."${e.key}" = e.value; self }
def $construct(self, map) { self.$fields(map); self }
