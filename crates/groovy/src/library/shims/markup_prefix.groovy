class MarkupPrefix {
    private def $document
    private String $prefix
    MarkupPrefix(document, String prefix) { $document = document; $prefix = prefix }
    def methodMissing(String name, args) { $document.$tag($prefix, name, args.toList()) }
}
