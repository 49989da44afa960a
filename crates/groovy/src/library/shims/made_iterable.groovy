class Made implements Iterable {
    private def $code
    Made(code) { $code = code }
    Iterator iterator() {
        if ($code instanceof Map && !$code.containsKey('iterator')) throw new UnsupportedOperationException()
        $code instanceof Map ? $code.get('iterator').call() : $code()
    }
}
