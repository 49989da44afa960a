package com.lesfurets.jenkins.unit.declarative

import com.lesfurets.jenkins.unit.BasePipelineTest

abstract class DeclarativePipelineTest extends BasePipelineTest {
    @Override
    void setUp() throws Exception {
        super.setUp()
        helper.registerAllowedMethod('credentials', [String]) { binding.getVariable('credentials')[it] }
    }
}
