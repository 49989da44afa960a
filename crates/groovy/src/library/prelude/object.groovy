def with(self, f) { def c = f.clone(); c.delegate = self; c.resolveStrategy = 1; c(self) }
def tap(self, f) { def c = f.clone(); c.delegate = self; c.resolveStrategy = 1; c(self); self }
def identity(self, f) { def c = f.clone(); c.delegate = self; c.resolveStrategy = 1; c(self) }
def each(self, f) { for (x in self) f(x); self }
def eachWithIndex(self, f) { int i = 0; for (x in self) { f(x, i); i++ }; self }
def collect(self) { def out = []; for (x in self) out.add(x); out }
def collect(self, into, f) { for (x in self) into.add(f(x)); into }
def collect(self, f) { def out = []; for (x in self) out.add(f(x)); out }
def find(self, f) { for (x in self) { if (f(x)) return x }; null }
def findAll(self, f) { def out = []; for (x in self) { if (f(x)) out.add(x) }; out }
def any(self, f) { for (x in self) { if (f(x)) return true }; false }
def every(self, f) { for (x in self) { if (!f(x)) return false }; true }
def inject(self, start, f) { def acc = start; for (x in self) acc = f(acc, x); acc }
def $comparing(self) { { a, b -> self.compare(a, b) } }
def find(self) { for (x in self) { if (x) return x }; null }
def findAll(self) { def out = []; for (x in self) { if (x) out.add(x) }; out }
def any(self) { for (x in self) { if (x) return true }; false }
def every(self) { for (x in self) { if (!x) return false }; true }
def inject(self, f) { self.iterator().inject(f) }
def grep(self) { def out = []; for (x in self) { if (x) out.add(x) }; out }
def grep(self, test) { def out = []; for (x in self) { if (x in test) out.add(x) }; out }
def split(self, f) { def yes = []; def no = []; for (x in self) { if (f(x)) yes.add(x) else no.add(x) }; [yes, no] }
def findResult(self, f) { for (x in self) { def r = f(x); if (r != null) return r }; null }
def findResult(self, other, f) { for (x in self) { def r = f(x); if (r != null) return r }; other }
def findIndexOf(self, f) { int i = 0; for (x in self) { if (f(x)) return i; i++ }; -1 }
def findIndexOf(self, from, f) { int i = 0; for (x in self) { if (i >= from && f(x)) return i; i++ }; -1 }
def findLastIndexOf(self, f) { int i = 0; int at = -1; for (x in self) { if (f(x)) at = i; i++ }; at }
def findLastIndexOf(self, from, f) { int i = 0; int at = -1; for (x in self) { if (i >= from && f(x)) at = i; i++ }; at }
def findIndexValues(self, f) { long i = 0; def out = []; for (x in self) { if (f(x)) out.add(i); i++ }; out }
def findIndexValues(self, from, f) { long i = 0; def out = []; for (x in self) { if (i >= from && f(x)) out.add(i); i++ }; out }
def invokeMethod(self, name, args) { args == null ? self."$name"() : args instanceof List || args instanceof Object[] ? self."$name"(*args) : self."$name"(args) }
def invokeMethod(self, on, name, args) { on.$plainly(name, args) }
def getMetaMethod(self, name, args) { self.respondsTo(name) ? [name: name, invoke: { on, given -> on.$plainly(name, given) }] : null }
def $plainly(self, name, args) { args == null ? self."$name"() : args instanceof List || args instanceof Object[] ? self."$name"(*args) : self."$name"(args) }
def getProperties(self) { def all = [:]; for (name in self.$readable()) { try { all[name] = self."$name" } catch (Exception e) { } }; all }
def getProperty(self, name) { self."$name" }
def setProperty(self, name, value) { self."$name" = value; null }
def $setAll(self, map) { for (e in map) self."${e.key}" = e.value; self }
def $construct(self, map) { self.$typedFields(map); self }
def $constructDefended(self, map) { self.$typedFields(map); self.$defend(); self }
def $lacksProperty(self, name) { throw new MissingPropertyException("No such property: $name for class: ${self.getClass().name}".toString()) }
def $lacksMethod(self, name, args) { throw new MissingMethodException("No signature of method: ${self.getClass().name}.$name() is applicable for argument types: (${args.collect { it == null ? 'null' : it.getClass().name }.join(', ')}) values: ${args.toList()}".toString()) }
def $like(self, map) { try { self.newInstance(map) } catch (GroovyRuntimeException e) { map.$standIn(self) } }
def $made(self, from, place) { from instanceof Closure ? from.asType(self) : from instanceof Map ? self.newInstance(from) : self.newInstance(*from) }
def use(self, a, f) { self.$use(a); try { f() } finally { self.$unuse() } }
def use(self, a, b, f) { self.use([a, b], f) }
def use(self, a, b, c, f) { self.use([a, b, c], f) }
def $named(self, name, others) { try { self.getProperty(name) } catch (MissingPropertyException e) { for (o in others) { try { return o."$name" } catch (MissingPropertyException other) { } }; throw e } }
def $missing(self, name, args, others) {
    try { return self.methodMissing(name, args) } catch (MissingMethodException e) {
        if (e.method != name) throw e
        def last = e
        for (o in others) { try { return o.methodMissing(name, args) } catch (MissingMethodException other) { if (other.method != name) throw other; last = other } }
        throw last
    }
}
def $items(self) { def out = []; for (x in self) out.add(x); out }
def withCloseable(self, f) {
    if (!(self instanceof Closeable)) self.$lacksMethod('withCloseable', [f])
    def failed
    try { return f(self) } catch (Throwable e) { failed = e; throw e }
    finally { if (failed == null) self.close() else { try { self.close() } catch (Throwable other) { failed.addSuppressed(other) } } }
}
def $range(self, to, inclusive) {
    if (self == to && !inclusive) return []
    boolean up = self <= to
    def last = inclusive ? to : up ? to.previous() : to.next()
    def out = [self]
    for (def at = up ? self.next() : self.previous(); (up ? at <= last : at >= last) && (up ? at > self : at < self); at = up ? at.next() : at.previous()) out.add(at)
    out
}
def $said(self) { try { self.$say(self.localizedMessage) } catch (Throwable other) { }; throw self }
def $compared(self, other) { try { self.compareTo(other) } catch (ClassCastException e) { null } }
def $identity(self) { { x -> x } }
def $got(self, getter) { self."$getter"() }
