class XmlUtil {
    static String escapeXml(String text) { text == null ? null : groovy.xml.MarkupBuilder.$content(text).replace('"', '&quot;').replace("'", '&apos;') }
    static String escapeControlCharacters(String text) { text.replaceAll(/[\x00-\x1f]/) { '&#' + it.codePointAt(0) + ';' } }
    static String serialize(source) {
        try {
            return groovy.xml.XmlUtil.$indented(groovy.xml.XmlUtil.$text(source))
        } catch (org.xml.sax.SAXParseException e) {
            throw new GroovyRuntimeException(e.toString())
        }
    }
    static void serialize(source, out) { out << groovy.xml.XmlUtil.serialize(source) }
    private static String $text(source) {
        if (source instanceof groovy.util.slurpersupport.GPathResult) {
            def builder = new groovy.xml.StreamingMarkupBuilder()
            builder.encoding = 'UTF-8'
            def prefixes = source.$prefixes()
            return builder.bind { doc -> doc.$hints(prefixes); doc.$add(source) }.toString()
        }
        if (!(source instanceof Node)) return source.toString()
        def out = new StringWriter()
        def printer = new XmlNodePrinter(out)
        printer.preserveWhitespace = true
        printer.print(source)
        out.toString()
    }
}
