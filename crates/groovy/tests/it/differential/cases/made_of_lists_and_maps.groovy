class A { String n; int c = 1; A() { c = 5 } }
println new A(n: 'x').n
println new A(n: 'x').c
println new A([n: 'y']).c
class Cfg { String name }
class Sub extends Cfg { int k }
Map m = [name: 'x', k: 3]
println new Cfg([name: 'x']).name
println new Sub(m).name + new Sub(m).k
try { new Cfg(m) } catch (MissingPropertyException e) { println 'missing' }
class P { int x, y; P(int x, int y) { this.x = x; this.y = y } }
P p = [1, 2]
println p.y
Cfg c = [name: 'q']
println c.name
P mk() { [5, 6] }
println mk().x
class H { Cfg q }
def h = new H(q: [name: 'i'])
println h.q.name
h.q = [name: 'z']
println h.q.name
def use1(P v) { v.x }
println use1([7, 8] as P)
interface Fn { def ap(x) }
Fn f = { it * 2 }
println f.ap(4)
try { P bad = [1]; println 'no' } catch (ClassCastException e) { println 'cast' }
enum K { APP('a'), LIB('l'); final String s; K(String s) { this.s = s } }
println K.LIB.s
