class MarkupBuilderHelper {
    private def $builder
    MarkupBuilderHelper(builder) { $builder = builder }
    void yield(value) { $builder.$text(groovy.xml.MarkupBuilder.$content(String.valueOf(value))) }
    void yieldUnescaped(value) { $builder.$text(String.valueOf(value)) }
    void comment(String text) { yieldUnescaped("<!-- $text -->") }
    void xmlDeclaration(Map attributes) { pi(xml: attributes) }
    void pi(Map instruction) { $builder.$instruction(instruction) }
}
