package org.example;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import org.junit.Test;

public class TideTest {
    @Test
    public void volumeIsAreaTimesDepth() {
        assertEquals(12.0, new Tide(4, 3).volume(), 1e-9);
    }

    @Test
    public void negativeDepthIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> new Tide(4, -1));
    }
}
