class MarkupDocumentHelper {
    private def $document
    MarkupDocumentHelper(document) { $document = document }
    def leftShift(value) { $document.$add(value); this }
    void yield(value) { $document.$add(value) }
    void yieldUnescaped(value) { $document.$raw(value) }
    void comment(text) { $document.$raw("<!--$text-->") }
    void xmlDeclaration(Map options = [:]) { $document.$declaration() }
    void declareNamespace(Map prefixes) { $document.$declare(prefixes) }
    void pi(Map instruction) { $document.$instruction(instruction) }
}
