class GStringTemplateEngine {
    GStringTemplateEngine(loader = null) { }
    def createTemplate(text) { new groovy.text.Template(text.toString(), false) }
}
