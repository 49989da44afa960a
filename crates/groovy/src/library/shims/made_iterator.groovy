class Made implements Iterator {
    private def $code
    Made(code) { $code = code }
    private def $do(String name) {
        if ($code instanceof Map && !$code.containsKey(name)) throw new UnsupportedOperationException()
        $code instanceof Map ? $code.get(name).call() : $code()
    }
    boolean hasNext() { $do('hasNext') }
    def next() { $do('next') }
    void remove() { $do('remove') }
}
