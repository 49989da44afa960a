class BoundMarkup {
    private def $builder
    private def $content
    BoundMarkup(builder, content) { $builder = builder; $content = content }
    String toString() { def out = new StringWriter(); new groovy.xml.MarkupDocument(out, $builder).$add($content); out.toString() }
    def writeTo(out) { out << toString(); out }
}
