class Collector {
    private Closure whole
    Collector(Closure whole) { this.whole = whole }
    def finish(items) { whole(items) }
}
